# Free ports on loopback, and waiting for somebody to listen on one.

declare -i next_port=0

choose_ports() {
  next_port=$((20000 + RANDOM % 8000))
  local name
  for name in rest_port sip_port im_server_port bridge_msrp_port far_port msrp_port; do
    until ! is_bound tcp "$next_port" && ! is_bound udp "$next_port"; do
      next_port+=1
    done
    printf -v "$name" %d "$next_port"
    next_port+=1
  done
  rest="127.0.0.1:$rest_port"
}

# Waits until a process listens on a port: bound udp|tcp PORT PROCESS
bound() {
  local until=$((SECONDS + patience))
  until is_bound "$1" "$2"; do
    if ((SECONDS >= until)) || ! kill -0 "$3" 2>/dev/null; then
      blame "nobody listens on $1 $2"
      return 1
    fi
    sleep 0.05
  done
}

# Tells whether somebody listens on a port: state 0A for TCP, 07 for UDP.
is_bound() {
  local state=0A hex
  [[ $1 == tcp ]] || state=07
  printf -v hex %04X "$2"
  grep --quiet --extended-regexp ": [0-9A-F]{8}:$hex [0-9A-F]+:[0-9A-F]{4} $state " "/proc/net/$1"
}
