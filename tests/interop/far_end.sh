# The far end: SIPp, with msrp_peer for the chat itself.

declare far="" chat=""

# Starts SIPp with a scenario in the background: far_end SCENARIO [EDIT] [OPTION…]
#
# The side of a=setup that the far end takes is $setup: the active end connects to the bridge as
# soon as SIPp knows its path, the passive one listens before SIPp says a word.
far_end() {
  local sipp_transport=u1
  [[ $transport == udp ]] || sipp_transport=t1
  local scenario=$1 command=":" path="msrp://127.0.0.1:$msrp_port/far$numbers;tcp"
  : >"$work/heard"
  # SIPp takes the code of a response literally: another one is written in with sed.
  if [[ ${2:-} == s/* ]]; then
    sed "$2" "$here/scenarios/$scenario.xml" >"$work/$scenario.xml"
    set -- "$1" "${@:3}"
  else
    cp "$here/scenarios/$scenario.xml" "$work"
  fi
  if [[ $setup == active ]]; then
    command="$here/msrp_peer active"
  elif [[ $scenario == *accept* || $scenario == *hangs_up ]]; then
    "$here/msrp_peer" passive "$path" >>"$work/heard" 2>&1 &
    chat=$!
    bound tcp "$msrp_port" "$chat"
  fi
  sipp -sf "$work/$scenario.xml" -m 1 -i 127.0.0.1 -p "$far_port" -t "$sipp_transport" \
    -timeout 20 -timeout_error -nostdin -trace_err -error_file "$work/sipp_errors" \
    -trace_msg -message_file "$work/sipp_messages" \
    -key msrp_path "$path" -key msrp_port "$msrp_port" -key msrp_setup "$setup" \
    -au "$far_number" -ap secret -auth_uri "${number[near]:-}@example.com;user=phone" \
    -key msrp_command "$command" -key heard "$work/heard" "${@:2}" \
    "$sip" >"$work/sipp_screen" 2>&1 &
  far=$!
  [[ $scenario != uas* ]] || bound "$transport" "$far_port" "$far" || far_end_is_content
}

# Waits until SIPp has seen all of its scenario.
far_end_is_content() {
  local status=0
  wait "$far" || status=$?
  far=""
  ((status == 0)) && return
  blame "SIPp ends with $status" "$(cat "$work/sipp_errors" "$work/sipp_messages" 2>/dev/null)"
  return 1
}

# Ends what a scenario has left running.
forget_far_end() {
  local process
  for process in $far $chat; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
}

# Compares what msrp_peer has heard: far_end_hears LINE…
far_end_hears() {
  local wanted until=$((SECONDS + patience))
  wanted=$(printf '%s\n' "$@")
  while [[ $(cat "$work/heard") != "$wanted" ]] && ((SECONDS < until)); do
    sleep 0.1
  done
  [[ $(cat "$work/heard") == "$wanted" ]] || differ "the far end" "$wanted" "$(cat "$work/heard")"
}
