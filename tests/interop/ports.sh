# Free ports on loopback, and waiting for somebody to listen on one.
#
# What a port is for shows in its range, and every lane has a slice of each range for itself.

declare -i ports=0 slice=24

# Draws where the ranges lie; once, before there are lanes.
choose_ranges() {
  ports=$((20000 + RANDOM % 8000))
  sip_ports="$ports-$((ports + 299))"
  msrp_ports="$((ports + 600))-$((ports + 899))"
}

# Gives a lane its ports: choose_ports LANE
choose_ports() {
  take_ports "$ports" "$1" sip_port im_server_port edge_port core_port far_port far_port_{2,3}
  # Nobody looks into these.
  take_ports $((ports + 300)) "$1" tls_port edge_tls_port core_tls_port
  take_ports $((ports + 600)) "$1" bridge_msrp_port msrp_port msrp_port_{2,3} relay_port
  take_ports $((ports + 900)) "$1" rest_port
  rest="127.0.0.1:$rest_port"
}

# Gives free ports of a slice to variables: take_ports RANGE LANE NAME…
take_ports() {
  local -i next=$(($1 + $2 * slice))
  local name
  for name in "${@:3}"; do
    until ! is_bound tcp "$next" && ! is_bound udp "$next"; do
      next+=1
    done
    printf -v "$name" %d "$next"
    next+=1
  done
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
