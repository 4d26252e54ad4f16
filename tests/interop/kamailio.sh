# Kamailio in front of the bridge: an edge that terminals know, as a P-CSCF is one, and a core with
# the registrar, as an S-CSCF is one. The bridge registers two users through the edge and has both
# proxies on the way of every dialog; the far end is another network, to which the core is known.
#
#        application - bridge - edge - core - SIPp
#                        \______ MSRP ______/

kamailio_lane() {
  make_certificate
  start_proxy core "$core_port" "$core_tls_port"
  start_proxy edge "$edge_port" "$edge_tls_port"
  setup=active
  sip="127.0.0.1:$core_port"
  place="kamailio $transport:"
  far_number="+19585559001"
  [[ $transport == tls ]] || scenario the_proxies_alone
  start_registered_bridge
  registered[near]="+19585552001"
  registered[other]="+19585552002"
  aside_with +19585559002 +19585552003 meanwhile 2 attached renews_the_session waits_to_be_renewed
  aside_with +19585559003 +19585552004 meanwhile 3 attached renews_the_session meets_glare
  scenario attached invites is_recorded
  scenario attached invites answers_reliably
  scenario attached is_renewed
  scenario attached is_left
  scenario attached is_refused 486 Busy Here
  scenario attached cancels_in_time
  scenario is_invited requires_reliability
  scenario is_invited offers_nothing
  scenario is_invited_renewed_and_left
  scenario is_invited_and_cancelled
  scenario two_applications_chat
  setup=passive
  scenario attached invites is_recorded
  scenario is_invited requires_reliability
  setup=active
  catch_up
  restart_the_edge
  scenario is_invited offers_nothing
  stop_bridge
  # Whoever stops takes leave.
  scenario is_gone
  stop_proxies
}

# Makes a certificate for everybody on loopback, and an authority that vouches for it.
make_certificate() {
  local new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2)
  "${new[@]}" -subj /CN=authority -keyout "$work/ca_key.pem" -out "$work/ca.pem"
  "${new[@]}" -subj /CN=example.com -CA "$work/ca.pem" -CAkey "$work/ca_key.pem" \
    -addext basicConstraints=CA:FALSE -addext "subjectAltName=DNS:example.com,IP:127.0.0.1" \
    -keyout "$work/key.pem" -out "$work/certificate.pem"
} 2>"$work/openssl.log"

# Starts a proxy on UDP, TCP and TLS: start_proxy edge|core PORT TLS-PORT
declare -A proxies=()
start_proxy() {
  # SIPp can only reckon MD5, and stands in for the bridge where there is no TLS.
  local algorithm=MD5
  [[ $transport != tls ]] || algorithm=SHA-256
  kamailio -DD -E -m 32 -M 4 -Y "$work" -f "$here/kamailio/$1.cfg" \
    -l "udp:127.0.0.1:$2" -l "tcp:127.0.0.1:$2" -l "tls:127.0.0.1:$3" \
    -A "CORE=\"127.0.0.1:$core_port\"" -A "CORE_TLS=\"127.0.0.1:$core_tls_port\"" \
    -A "CERTIFICATE=\"$work/certificate.pem\"" -A "PRIVATE_KEY=\"$work/key.pem\"" \
    -A "AUTHORITY=\"$work/ca.pem\"" -A "ALGORITHM=\"$algorithm\"" \
    >>"$work/$1.log" 2>&1 &
  proxies[$1]=$!
  bound udp "$2" "$!" && bound tcp "$2" "$!" && bound tcp "$3" "$!" || { cat "$work/$1.log"; exit 1; }
}

# Starts the edge anew while there is a session through it, which shall not notice.
restart_the_edge() {
  aside_with +19585559002 +19585552003 meanwhile 2 attached outlives_the_edge
  if await_file "$work/meanwhile_2/talks"; then
    kill "${proxies[edge]}"
    wait "${proxies[edge]}" || true
    start_proxy edge "$edge_port" "$edge_tls_port"
    : >"$work/meanwhile_2/goes_on"
  fi
  catch_up
}

outlives_the_edge() {
  subscribe near
  far_end is_recorded
  invite near "$far_number"
  await near "Accepted: SIP 200 OK"
  : >"$work/talks"
  await_file "$work/goes_on"
  say_ping
  end near
  hears near "Accepted: SIP 200 OK" "${pinged[@]}" "SessionEnded: SIP BYE"
  far_end_is_content
}

# Waits until there is a file, unless nobody is left aside to make it.
await_file() {
  local until=$((SECONDS + patience))
  until [[ -e $1 ]]; do
    ((SECONDS < until)) && { [[ -z ${aside[*]} ]] || kill -0 "${aside[@]}" 2>/dev/null; } || return 1
    sleep 0.05
  done
}

# Stops the proxies, and demands that they found fault with nothing.
stop_proxies() {
  kill "${proxies[@]}"
  wait "${proxies[@]}" || true
  local name faults
  for name in edge core; do
    # At its start it tells of a workaround, and at its end of what it cuts off itself.
    faults=$(grep --extended-regexp '(WARNING|ERROR|CRITICAL):' "$work/$name.log" |
      grep --invert-match --extended-regexp 'openssl bug #1491|receive_fd\(\): EOF' || true)
    [[ -z $faults ]] || blame_and_tell "kamailio $transport: the $name" "it complains" "$faults"
  done
}

# Starts the bridge as a terminal of four users, each with a proof of its own.
start_registered_bridge() {
  local next_hop="127.0.0.1:$edge_port" profile=plain tls=()
  # One of the three speaks as an IMS core would have it.
  [[ $transport != tcp ]] || profile=cpm
  if [[ $transport == tls ]]; then
    next_hop="127.0.0.1:$edge_tls_port"
    tls=("SIP_TLS_LISTEN=127.0.0.1:$tls_port" "SIP_CERTIFICATE=$work/certificate.pem"
      "SIP_PRIVATE_KEY=$work/key.pem" "SIP_CA=$work/ca.pem")
  fi
  start_bridge "ue-$transport" CORE_MODE=ue "CORE_NEXT_HOP=$next_hop" "CORE_TRANSPORT=$transport" \
    "SIP_PROFILE=$profile" \
    "UE_USERS=tel:+19585552001 one,tel:+19585552002 two,tel:+19585552003 three,tel:+19585552004 four" \
    "UE_PASSWORDS=the first secret,the second secret,the third secret,the fourth secret" \
    NOTIFY_MAX_CHANNELS=100 NOTIFY_MAX_SUBSCRIPTIONS=100 MSRP_PORTS=1 "${tls[@]}"
  everybody_is_registered
}

# Waits until the core knows all users: whoever calls one before finds nobody.
everybody_is_registered() {
  local until=$((SECONDS + patience))
  until (($(grep --count ' registered ' "$log") == 4)); do
    ((SECONDS < until)) || { cat "$log"; exit 1; }
    sleep 0.05
  done
}

# Runs a scenario aside, with a far end and a near end of its own: aside_with FAR NEAR meanwhile …
aside_with() {
  local far_number=$1
  local -A registered=([near]=$2)
  "${@:3}"
}

# Registers the far end with the core, and goes on with a scenario in which it is called.
attached() {
  far_end uac_registers
  far_end_is_content
  "$@"
}

# Two SIPp, and no bridge.
the_proxies_alone() {
  attached far_end behind_the_core
  local callee=$far
  far_port=$far_port_2 sip="127.0.0.1:$edge_port" far_number="+19585552001" work="$work/meanwhile" \
    call_from_the_edge
  far=$callee
  far_end_is_content
}

call_from_the_edge() {
  mkdir -p "$work"
  far_end behind_the_edge -key near "+19585559001" -au one -ap "the first secret"
  far_end_is_content
}

cancels_in_time() {
  subscribe near
  far_end is_cancelled
  invite near "$far_number"
  far_end_says ringing
  end near
  hears near "SessionCancelled: SIP CANCEL"
  far_end_is_content
}

is_gone() {
  far_end finds_nobody -key near "+19585552001"
  far_end_is_content
}
