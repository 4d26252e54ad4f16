# tshark as the judge of everything that goes over the wire.

start_capture() {
  tshark -q -i lo -f "portrange $sip_ports or portrange $msrp_ports" -w "$work/wire.pcapng" \
    2>"$work/tshark.log" &
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

# Finds fault with packets that tshark cannot dissect or warns of, and misses what should be there.
judge_the_wire() {
  : >"$work/faults"
  unfold_msrp
  demand_faultless "$work/wire.pcapng"
  demand_faultless "$work/msrp.pcap"
  demand "$work/wire.pcapng" 'sip.Method == "'{INVITE,ACK,BYE,CANCEL,REGISTER,PRACK,UPDATE}'"' \
    'sip.Status-Code == '{1{00,80,83},200,302,4{01,04,07,20,22,80,81,86,87,88,91},500,603} \
    sip.{Record-Route,Route,Path,Service-Route,P-Asserted-Identity,P-Preferred-Identity} \
    'sdp.media.media == "message"'
  demand "$work/msrp.pcap" 'msrp.method == "'{SEND,REPORT}'"' 'msrp.status.code == 200' \
    'msrp.byte.range contains "1-2048/"' 'msrp.content.type contains "message/cpim"' \
    'frame contains "im-iscomposing+xml"' 'frame contains "imdn.Message-ID"' \
    'frame contains "<displayed"'
  verdict "the wire: $(dissect "$work/wire.pcapng" sip -e frame.number | wc -l) SIP packets and $(
    dissect "$work/msrp.pcap" msrp -e frame.number | wc -l) MSRP frames, dissected by tshark"
}

# Brings every MSRP frame into a packet of its own.
unfold_msrp() {
  dissect "$work/wire.pcapng" "tcp.len > 0 and not tcp.analysis.retransmission and
      tcp.port in {${msrp_ports/-/ .. }}" \
    -e tcp.stream -e tcp.srcport -e tcp.payload |
    "$here/msrp_frames" |
    text2pcap -q -T "${msrp_ports%-*},${msrp_ports%-*}" - "$work/msrp.pcap" 2>>"$work/tshark.log"
}

demand_faultless() {
  local odd
  # What TCP itself remarks, such as a segment seen twice, is not ours to answer for.
  odd=$(dissect "$1" '_ws.malformed or (_ws.expert.severity >= "Warning" and (sip or sdp or msrp)
      and not tcp.analysis.flags)' \
    -e frame.number -e _ws.col.Protocol -e _ws.expert.message -e _ws.col.Info)
  [[ -z $odd ]] || blame "tshark finds fault with" "$odd"
}

# Demands that a packet matches each filter: demand FILE FILTER…
demand() {
  local filter
  for filter in "${@:2}"; do
    [[ -n $(dissect "$1" "$filter" -e frame.number) ]] || blame "tshark sees nothing of: $filter"
  done
}

# Shows fields of the packets that match a filter: dissect FILE FILTER -e FIELD…
dissect() {
  local as=(-d "udp.port==$sip_ports,sip" -d "tcp.port==$sip_ports,sip" -d "tcp.port==$msrp_ports,msrp")
  tshark -r "$1" "${as[@]}" -Y "$2" -T fields "${@:3}" 2>>"$work/tshark.log"
}
