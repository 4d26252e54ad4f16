# The far end: SIPp, with msrp_peer for the chat itself.

declare far="" chat=""

# Starts SIPp with a scenario in the background: far_end SCENARIO [EDIT] [OPTION…]
#
# The scenario is one of SIPp's own in scenarios/, or one in ladders/ that `ladder` makes one of. The
# side of a=setup that the far end takes is $setup: the active end connects to the bridge as soon as
# SIPp knows its path, the passive one listens before SIPp says a word.
far_end() {
  local carrier=tcp command=":" path="msrp://127.0.0.1:$msrp_port/far$numbers;tcp"
  local scenario="$work/$1.xml" edit=""
  # SIPp speaks no TLS: the core does, on the other side of it.
  [[ $transport != udp ]] || carrier=udp
  # SIPp takes the code of a response literally: another one is written in with sed.
  if [[ ${2:-} == s/* ]]; then
    edit=$2
    set -- "$1" "${@:3}"
  fi
  local -a proof=()
  # What SIPp proves itself by, where it is asked to.
  if [[ -n ${far_secret:-} ]]; then
    proof=(-au "$far_number" -ap "$far_secret" -auth_uri "${number[near]:-}@example.com;user=phone")
  fi
  write_scenario "$1" | sed "$edit" >"$scenario"
  : >"$work/heard"
  : >"$work/marks"
  if [[ $setup == active ]]; then
    command="$here/msrp_peer active"
  elif grep --quiet '\[msrp_command\]' "$scenario"; then
    "$here/msrp_peer" passive "$path" >>"$work/heard" 2>&1 &
    chat=$!
    bound tcp "$msrp_port" "$chat"
  fi
  sipp -sf "$scenario" -m 1 -i 127.0.0.1 -p "$far_port" -t "${carrier::1}1" \
    -timeout "${far_patience:-20}" -timeout_error -nostdin -trace_err -error_file "$work/sipp_errors" \
    -trace_msg -message_file "$work/sipp_messages" \
    -key msrp_path "$path" -key msrp_port "$msrp_port" -key msrp_setup "$setup" \
    -key msrp_command "$command" -key heard "$work/heard" -key marks "$work/marks" \
    -key far "$far_number" "${proof[@]}" "${@:2}" "$sip" >"$work/sipp_screen" 2>&1 &
  far=$!
  is_called "$scenario" || return 0
  bound "$carrier" "$far_port" "$far" || far_end_is_content
}

write_scenario() {
  if [[ -e $here/ladders/$1.ladder ]]; then
    "$here/ladder" "$here/ladders/$1.ladder"
  else
    cat "$here/scenarios/$1.xml"
  fi
}

# Tells whether a scenario begins by being called.
is_called() {
  [[ $(grep --extended-regexp --max-count=1 --only-matching '<(recv|send)' "$1") == "<recv" ]]
}

# Waits until SIPp has seen all of its scenario.
far_end_is_content() {
  local status=0
  [[ -n $far ]] || return 0    # It was before.
  wait "$far" || status=$?
  far=""
  ((status == 0)) && return
  blame "SIPp ends with $status" "$(cat "$work/sipp_errors" "$work/sipp_messages" 2>/dev/null)"
  return 1
}

# Waits until SIPp has come as far as a mark in its scenario: far_end_says WORD
far_end_says() {
  local until=$((SECONDS + ${far_patience:-patience}))
  until grep --quiet --line-regexp "$1" "$work/marks"; do
    if ! kill -0 "$far" 2>/dev/null; then
      # Done with all of it, and faster than we look.
      far_end_is_content
      return
    fi
    if ((SECONDS >= until)); then
      blame "the far end does not come as far as: $1" "$(cat "$work/sipp_messages")"
      return 1
    fi
    sleep 0.05
  done
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

# Demands that SIPp got a message at least so often: far_end_got COUNT START CSEQ
#
# SIPp keeps quiet about what it takes for a retransmission; only its log of messages has it.
far_end_got() {
  local count
  count=$(perl -e 'my ($start, $cseq) = splice @ARGV, 0, 2; local $/;
    print scalar grep { /message received[^\n]*\n\n\Q$start\E/ && /^CSeq: \Q$cseq\E\s/m } split /^-{20,}/m, <>
  ' "$2" "$3" "$work/sipp_messages")
  ((count >= $1)) || { blame "the far end got $count of: $2 ($3)"; return 1; }
}
