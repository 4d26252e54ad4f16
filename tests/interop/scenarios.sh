# The scenarios: who does what, and what exactly is heard of it (README, What the network's answers
# mean; `chatbridge outcomes` prints the rows).

# The bridge as one of two peers, without an IM server.
peer_scenarios() {
  place="peer $transport, far end $setup:"
  far_number="+19585559000"
  sip="127.0.0.1:$sip_port"
  scenario invites_and_chats
  scenario is_left
  scenario is_left_with_a_reason
  scenario is_invited_and_chats
  [[ $setup == active ]] || return 0
  scenario is_refused 480 Temporarily Unavailable
  scenario is_refused 486 Busy Here
  scenario is_refused 603 Decline
  scenario fails 404 Not Found
  scenario fails 500 Server Internal Error
  scenario cancels
  scenario waits_in_vain
  scenario is_invited_and_declines
  scenario is_invited_and_does_not_react
  scenario is_invited_and_cancelled
  scenario is_invited_and_answered_elsewhere
}

# The far end as a registered user of the embedded IM server.
embedded_scenarios() {
  place="embedded $transport, far end $setup:"
  # Calls are forked to every place where a number is registered: one number for each.
  far_number="+1958555900$([[ $transport == tcp ]] && echo 2 || echo 1)"
  sip="127.0.0.1:$im_server_port"
  scenario registered invites_and_chats
  scenario is_invited_and_chats
  [[ $setup == active ]] || return 0
  scenario registered is_left_with_a_reason
  scenario registered is_refused 486 Busy Here
  scenario registered cancels
  scenario is_invited_and_declines
  scenario is_invited_and_does_not_react
  scenario is_invited_and_cancelled
}

# Two applications, and nobody else.
rest_scenarios() {
  place="embedded:"
  scenario two_applications_chat
  scenario one_application_declines
}

invites_and_chats() {
  subscribe near
  far_end uas_accepts
  invite near "$far_number"
  await near "Accepted: SIP 200 OK"

  compose near
  say near "$(printf 'x%.0s' {1..5000})"
  await near Displayed
  say near ping
  await near "message: pong"
  acknowledge near Displayed
  far_end_hears "isComposing active" "text 5000 bytes" "text ping" "REPORT 000 200 OK" "IMDN display displayed"
  end near

  hears near "Accepted: SIP 200 OK" \
    Delivered MessageSuccess Displayed \
    Delivered MessageSuccess Displayed "composing: active" "message: pong" \
    "SessionEnded: SIP BYE"
  far_end_is_content
}

is_left() {
  subscribe near
  far_end uas_hangs_up -key bye_header "X-Nothing: 1"
  invite near "$far_number"
  hears near "Accepted: SIP 200 OK" "SessionEnded: SIP BYE"
  far_end_is_content
}

is_left_with_a_reason() {
  subscribe near
  far_end uas_hangs_up -key bye_header 'Reason: SIP;cause=480;text="Bearer unavailable"'
  invite near "$far_number"
  hears near "Accepted: SIP 200 OK" 'SessionEnded: SIP BYE; Reason: SIP;cause=480;text="Bearer unavailable"'
  far_end_is_content
}

is_refused() {
  subscribe near
  far_end uas_refuses "s/486 Busy Here/$*/"
  invite near "$far_number"
  hears near "Declined: SIP $*"
  far_end_is_content
}

fails() {
  subscribe near
  far_end uas_refuses "s/486 Busy Here/$*/"
  invite near "$far_number"
  hears near "SessionEnded: SIP $*"
  far_end_is_content
}

cancels() {
  subscribe near
  far_end uas_is_cancelled -key second_via "$([[ $place == peer* ]] && echo X-No-Via || echo Via)"
  invite near "$far_number"
  sleep 0.3
  end near
  hears near "SessionCancelled: SIP CANCEL"
  far_end_is_content
}

waits_in_vain() {
  subscribe near
  far_end uas_is_silent
  invite near "$far_number"
  hears near "SessionEnded: timeout invitation"
  far_end_is_content
}

is_invited_and_chats() {
  subscribe near
  far_end uac_is_accepted -key near "${number[near]}"
  await near "invited by tel:$far_number (Far): from afar"
  answer near Connected

  say near ping
  await near "message: pong"
  acknowledge near Delivered
  acknowledge near Displayed
  far_end_hears "text ping" "REPORT 000 200 OK" "IMDN delivery delivered" "IMDN display displayed"
  end near

  hears near "invited by tel:$far_number (Far): from afar" \
    Delivered MessageSuccess Displayed "composing: active" "message: pong" \
    "SessionEnded: SIP BYE"
  far_end_is_content
}

is_invited_and_declines() {
  subscribe near
  far_end uac_is_refused -key near "${number[near]}"
  await near "invited by tel:$far_number (Far): from afar"
  answer near Disconnected
  hears near "invited by tel:$far_number (Far): from afar" \
    "SessionEnded: declined by the user"
  far_end_is_content
}

is_invited_and_does_not_react() {
  subscribe near
  far_end uac_is_refused 's/response="480"/response="408"/' -key near "${number[near]}"
  hears near "invited by tel:$far_number (Far): from afar" "SessionEnded: timeout invitation"
  far_end_is_content
}

is_invited_and_cancelled() {
  subscribe near
  far_end uac_cancels -key near "${number[near]}" -key bye_header "X-Nothing: 1"
  hears near "invited by tel:$far_number (Far): from afar" "SessionCancelled: SIP CANCEL"
  far_end_is_content
}

is_invited_and_answered_elsewhere() {
  subscribe near
  far_end uac_cancels -key near "${number[near]}" \
    -key bye_header 'Reason: SIP;cause=200;text="Call completed elsewhere"'
  hears near "invited by tel:$far_number (Far): from afar" "SessionEnded: answered elsewhere"
  far_end_is_content
}

# Registers the far end, and goes on with a scenario in which it is called.
registered() {
  far_end uac_registers -auth_uri example.com
  far_end_is_content
  "$@"
}

two_applications_chat() {
  subscribe near
  subscribe other
  invite near "${number[other]}"
  await other "invited by tel:${number[near]} (Near): from the near end"
  answer other Connected
  await near "Accepted: SIP 200 OK"

  compose near
  await other "composing: active"
  say near "Grüße"
  await other "message: Grüße"
  acknowledge other Displayed
  await near Displayed
  say other "$(printf 'y%.0s' {1..5000})"
  await near "message: 5000 characters"
  acknowledge near Delivered
  await other MessageSuccess
  end other

  hears near "Accepted: SIP 200 OK" Delivered MessageSuccess Displayed "message: 5000 characters" \
    'SessionEnded: SIP BYE; Reason: SIP;cause=200;text="Call completed"'
  hears other "invited by tel:${number[near]} (Near): from the near end" \
    "composing: active" "message: Grüße" Delivered MessageSuccess "SessionEnded: SIP BYE"
}

one_application_declines() {
  subscribe near
  subscribe other
  invite near "${number[other]}"
  await other "invited by tel:${number[near]} (Near): from the near end"
  end other
  hears near "Declined: SIP 480 Temporarily Unavailable"
  hears other "invited by tel:${number[near]} (Near): from the near end" \
    "SessionEnded: declined by the user"
}
