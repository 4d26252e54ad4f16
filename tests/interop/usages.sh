# The INVITE usage in its less common turns, told by the ladders, directly between SIPp and the
# bridge. What the ladder demands is what the scenario is about; here is what applications hear.

usages_lane() {
  start_bridge "usages-$transport" CORE_MODE=peer "CORE_NEXT_HOP=127.0.0.1:$far_port" \
    "CORE_TRANSPORT=$transport" CORE_USERNAME=near "CORE_PASSWORD=a secret" SESSION_TIMER_S=90 \
    MSRP_PORTS=1
  setup=active
  sip="127.0.0.1:$sip_port"
  place="usages $transport:"
  far_number="+19585559000"
  meanwhile 2 renews_the_session waits_to_be_renewed
  meanwhile 3 renews_the_session meets_glare
  scenario invites answers_reliably
  scenario is_turned_down rings_twice_reliably "Declined: SIP 486 Busy Here"
  scenario invites forks
  scenario invites challenges -key username near -key password "a secret"
  scenario is_turned_down disbelieves "SessionEnded: SIP 401 Unauthorized"
  scenario invites uas_redirects -m 2
  scenario invites wants_more_time
  scenario repeats_its_200
  scenario cancels_too_late
  scenario is_renewed
  scenario is_invited requires_reliability
  scenario is_invited offers_nothing
  scenario is_invited is_told_the_minimum
  scenario loses_its_ack
  scenario is_invited_renewed_and_left
  scenario is_not_invited requires_the_unknown
  catch_up
  stop_bridge
}

# Invites, says a word, hears the answer to it, and leaves: invites LADDER [OPTION…]
invites() {
  subscribe near
  far_end "$@"
  invite near "$far_number"
  await near "Accepted: SIP 200 OK"
  say_ping
  end near
  hears near "Accepted: SIP 200 OK" "${pinged[@]}" "SessionEnded: SIP BYE"
  far_end_is_content
}

# Is invited, says a word, hears the answer to it, and leaves: is_invited LADDER
is_invited() {
  subscribe near
  far_end "$1" -key near "${number[near]}"
  await near "$(invitation)"
  answer near Connected
  say_ping
  end near
  hears near "$(invitation)" "${pinged[@]}" "SessionEnded: SIP BYE"
  far_end_is_content
}

# Invites in vain: is_turned_down LADDER NOTIFICATION
is_turned_down() {
  subscribe near
  far_end "$1"
  invite near "$far_number"
  hears near "$2"
  far_end_is_content
}

# Hears nothing of an invitation that is refused for it: is_not_invited LADDER
is_not_invited() {
  subscribe near
  far_end "$1" -key near "${number[near]}"
  far_end_is_content
  listen near
  [[ -z ${heard[near]} ]] || differ near "" "${heard[near]}"
}

# Acknowledges each 200.
repeats_its_200() {
  invites repeats_its_200
  far_end_got 2 "ACK " "1 ACK"
}

# Sends the 200 again until it is acknowledged.
loses_its_ack() {
  is_invited loses_its_ack
  far_end_got 2 "SIP/2.0 200 " "1 INVITE"
}

cancels_too_late() {
  subscribe near
  far_end accepts_too_late
  invite near "$far_number"
  far_end_says ringing
  end near
  hears near "SessionCancelled: SIP CANCEL"
  far_end_is_content
}

# Is invited to change the session all the time, and chats all the same.
is_renewed() {
  subscribe near
  far_end renews
  invite near "$far_number"
  await near "Accepted: SIP 200 OK"
  far_end_says renewed
  say_ping
  end near
  hears near "Accepted: SIP 200 OK" "${pinged[@]}" "SessionEnded: SIP BYE"
  far_end_is_content
}

is_invited_renewed_and_left() {
  subscribe near
  far_end is_renewed_and_leaves -key near "${number[near]}"
  await near "$(invitation)"
  answer near Connected
  hears near "$(invitation)" "SessionEnded: SIP BYE"
  far_end_is_content
}

# Has a session long enough for a refresh to be due: renews_the_session LADDER
renews_the_session() {
  local far_patience=65
  export MSRP_PATIENCE=65
  subscribe near
  far_end "$1" -key near "${number[near]}"
  await near "$(invitation)"
  answer near Connected
  say_ping
  far_end_says renewed
  hears near "$(invitation)" "${pinged[@]}" "SessionEnded: SIP BYE"
  far_end_is_content
}

# Says what msrp_peer has an answer to, and waits for all that becomes of it.
say_ping() {
  say near ping
  await near "message: pong"
  acknowledge near Displayed
  far_end_hears "text ping" "REPORT 000 200 OK" "IMDN display displayed"
}

# What near hears of it.
invitation() { printf "invited by tel:%s (Far): from afar" "$far_number"; }

declare -a pinged=(Delivered MessageSuccess Displayed "composing: active" "message: pong")
