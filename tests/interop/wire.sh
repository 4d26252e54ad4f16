# tshark as the judge of everything that goes over the wire.

start_capture() {
  local ports
  ports=$(printf ' or port %d' "$sip_port" "$im_server_port" "$bridge_msrp_port" "$far_port" "$msrp_port")
  tshark -q -i lo -f "${ports# or }" -w "$work/wire.pcapng" 2>"$work/tshark.log" &
  capture=$!
  local until=$((SECONDS + patience))
  until grep --quiet '^Capturing on' "$work/tshark.log" && [[ -s $work/wire.pcapng ]]; do
    if ((SECONDS >= until)) || ! kill -0 "$capture" 2>/dev/null; then
      printf 'tshark does not capture:\n'
      cat "$work/tshark.log"
      exit 1
    fi
    sleep 0.1
  done
}

stop_capture() {
  sleep 1    # What was sent last is still on its way into the file.
  kill -INT "$capture"
  wait "$capture" || true
}

judge_the_wire() {
  : >"$work/faults"
  local odd
  # What TCP itself remarks, such as a segment seen twice, is not ours to answer for.
  odd=$(dissect '_ws.malformed or (_ws.expert.severity >= "Warning" and not tcp.analysis.flags)' \
    -e frame.number -e _ws.col.Protocol -e _ws.expert.message -e _ws.col.Info)
  [[ -z $odd ]] || blame "tshark finds fault with" "$odd"
  has "a SIP" 'sip.Method == "'{INVITE,ACK,BYE,CANCEL,REGISTER}'"'
  has "a SIP" 'sip.Status-Code == '{100,180,200,404,480,486,487,500,603}
  has "an SDP" 'sdp.media.media == "message"'
  has "an MSRP" 'msrp.method == "'{SEND,REPORT}'"' 'msrp.status.code == 200'
  has "an MSRP" 'msrp.byte.range contains "1-2048/"' 
  has "a CPIM" 'msrp.content.type contains "message/cpim"'
  has "an isComposing" 'msrp and frame contains "im-iscomposing+xml"'
  has "an IMDN" 'msrp and frame contains "<displayed"'
  verdict "the wire: $(dissect frame -e frame.number | wc -l) packets as tshark sees them"
}

# Demands that a packet matches each filter: has WHAT FILTER…
has() {
  local filter
  for filter in "${@:2}"; do
    [[ -n $(dissect "$filter" -e frame.number) ]] || blame "tshark sees no packet of $1: $filter"
  done
}

# Shows fields of the packets that match a filter: dissect FILTER -e FIELD…
dissect() {
  local port sip_ports=() msrp_ports=()
  for port in "$sip_port" "$im_server_port" "$far_port"; do
    sip_ports+=(-d "udp.port==$port,sip" -d "tcp.port==$port,sip")
  done
  for port in "$bridge_msrp_port" "$msrp_port"; do
    msrp_ports+=(-d "tcp.port==$port,msrp")
  done
  tshark -r "$work/wire.pcapng" "${sip_ports[@]}" "${msrp_ports[@]}" -Y "$1" -T fields "${@:2}" \
    2>>"$work/tshark.log"
}
