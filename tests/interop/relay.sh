# Kamailio as a relay of MSRP, through which all chats of the bridge go: it never accepts a connection
# for them, and its peers connect to the relay, or are connected to by it (RFC 4976).
#
#        application - bridge - SIPp
#                        \        |
#                       relay - msrp_peer

relay_lane() {
  start_relay 3600
  sip="127.0.0.1:$sip_port"
  far_number="+19585559000"
  start_relayed_bridge relayed "the relay's secret"
  for setup in active passive; do
    place="relay, far end $setup:"
    scenario invites_and_chats
    scenario is_left
    scenario is_invited_and_chats
  done
  setup=active
  place="relay:"
  scenario is_invited_and_declines
  scenario is_refused 486 Busy Here
  stop_relay
  scenario is_without_a_way "MSRP relay failed; MSRP 408"
  scenario is_invited_without_a_way "MSRP relay failed; MSRP 408"
  stop_bridge
  start_relay 3600
  start_relayed_bridge disbelieved "a wrong secret"
  scenario is_without_a_way "MSRP relay failed; MSRP 401"
  stop_bridge
  start_relayed_bridge embedded "the relay's secret"
  place="embedded, relay:"
  scenario two_applications_chat
  stop_bridge
  stop_relay
  judge_the_relay
}

# Starts the relay: start_relay LIFETIME
start_relay() {
  kamailio -DD -E -m 32 -M 4 -Y "$work" -f "$here/kamailio/relay.cfg" -l "tcp:127.0.0.1:$relay_port" \
    -A "RELAY=\"127.0.0.1:$relay_port\"" -A "LIFETIME=$1" >>"$work/relay.log" 2>&1 &
  relay=$!
  bound tcp "$relay_port" "$relay" || { cat "$work/relay.log"; exit 1; }
}

stop_relay() {
  kill "$relay"
  wait "$relay" || true
}

# Demands that the relay found fault with nothing but that there is no TLS.
judge_the_relay() {
  local faults
  faults=$(grep --extended-regexp '(WARNING|ERROR|CRITICAL):' "$work/relay.log" |
    grep --invert-match --extended-regexp 'receive_fd\(\): EOF|TLS is mandatory' || true)
  [[ -z $faults ]] || blame_and_tell "the relay" "it complains" "$faults"
}

# Starts a bridge that knows the relay: start_relayed_bridge NAME PASSWORD
#
# The one named embedded has an IM server of its own, and so the relay on both sides of its chats.
start_relayed_bridge() {
  local mode=(CORE_MODE=peer "CORE_NEXT_HOP=127.0.0.1:$far_port" "CORE_TRANSPORT=$transport")
  [[ $1 != embedded ]] ||
    mode=(CORE_MODE=embedded "IM_SERVER_LISTEN=127.0.0.1:$im_server_port")
  start_bridge "$1" "${mode[@]}" MSRP_PORTS=1 "MSRP_RELAY=msrp://127.0.0.1:$relay_port;tcp" \
    MSRP_RELAY_USERNAME=bridge "MSRP_RELAY_PASSWORD=$2" MSRP_RELAY_TIMEOUT_S=3
}

# Invites, though no relay lets the session in: no INVITE leaves.
is_without_a_way() {
  subscribe near
  invite near "$far_number"
  hears near "SessionEnded: $*"
}

# Accepts, though no relay lets the session in: the caller gets a 500.
is_invited_without_a_way() {
  subscribe near
  far_end uac_is_refused 's/response="480"/response="500"/' -key near "${number[near]}"
  await near "invited by tel:$far_number (Far): from afar"
  answer near Connected
  hears near "invited by tel:$far_number (Far): from afar" "SessionEnded: $*"
  far_end_is_content
}
