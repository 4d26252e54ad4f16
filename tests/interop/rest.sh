# An application of the API, as far as the scenarios need one: users that subscribe, poll, invite,
# answer and chat. A user is known by a name such as "near"; everything heard is kept per user.

declare -A number=() api=() poll=() session=() heard=()
declare -i numbers=0

# Makes a user who polls a channel, with a number of its own or the registered one: subscribe NAME
declare -A registered=()
subscribe() {
  local who=$1 channel
  numbers+=1
  number[$who]=${registered[$who]:-"+1958555$((1000 + numbers))"}
  heard[$who]=""
  session[$who]=""
  api[$who]="1/chat/tel%3A%2B${number[$who]#+}"
  channel=$(post "1/notificationchannel/tel%3A%2B${number[$who]#+}/channels" \
    '{"notificationChannel":{"channelType":"LongPolling"}}')
  poll[$who]=$(jq -er .notificationChannel.channelData.channelURL <<<"$channel")
  post "${api[$who]}/subscriptions?echo=false" "$(jq --compact-output '
    {chatNotificationSubscription: {callbackReference: {
      notifyURL: .notificationChannel.callbackURL, notificationFormat: "JSON"}}}' <<<"$channel")" \
    >/dev/null
}

# Invites somebody: invite NAME NUMBER
invite() {
  local who=$1 answer
  answer=$(post "${api[$who]}/sessions" "$(jq --null-input --compact-output \
    --arg own "tel:${number[$who]}" --arg other "tel:$2" '
    {chatSessionInformation: {subject: "from the near end", originatorName: "Near",
      originatorAddress: $own, tParticipantAddress: $other}}')")
  session[$who]=$(jq -er .chatSessionInformation.resourceURL <<<"$answer")
}

# Answers the invitation that was heard: answer NAME Connected|Disconnected
answer() {
  post "${session[$1]}/status" "{\"participantSessionStatus\":{\"status\":\"$2\"}}" >/dev/null
}

# Cancels, declines or leaves: end NAME
end() {
  request DELETE "${session[$1]}" >/dev/null
}

# Says something and wants to know what becomes of it: say NAME TEXT
say() {
  post "${session[$1]}/messages" "$(jq --null-input --compact-output --arg text "$2" '
    {chatMessage: {text: $text, reportRequest: ["Delivered", "Displayed"]}}')" >/dev/null
}

# Begins to type: compose NAME
compose() {
  post "${session[$1]}/messages" '{"isComposing":{"state":"active","refresh":60}}' >/dev/null
}

# Reports on the message heard last: acknowledge NAME Delivered|Displayed
acknowledge() {
  post "${message[$1]}/status" \
    "{\"messageDeliveryStatus\":{\"status\":\"$2\",\"userId\":\"tel:${number[$1]}\"}}" >/dev/null
}

# Polls until a line was heard: await NAME LINE
await() {
  local until=$((SECONDS + patience))
  while ! grep --quiet --line-regexp --fixed-strings -- "$2" <<<"${heard[$1]}"; do
    if ((SECONDS >= until)); then
      blame "$1 waits in vain for: $2" "${heard[$1]}"
      return 1
    fi
    listen "$1"
  done
}

# Compares all that is heard, to the last line and not a line more: hears NAME LINE…
hears() {
  local who=$1 wanted
  wanted=$(printf '%s\n' "${@:2}")
  await "$who" "${*: -1}" || true
  listen "$who"    # Nothing may follow.
  [[ ${heard[$who]} == "$wanted" ]] || differ "$who" "$wanted" "${heard[$who]}"
}

# Polls once, for a second at most, and notes a line for each notification.
declare -A message=()
listen() {
  local who=$1 answer lines url
  answer=$(request GET "${poll[$who]}?resFormat=JSON")
  printf '%s\n' "$answer" >>"$work/$who.json"
  lines=$(jq --raw-output --from-file "$here/notices.jq" <<<"$answer")
  [[ -z $lines ]] || heard[$who]+="${heard[$who]:+$'\n'}$lines"
  url=$(jq --raw-output '[.notificationList // [] | .[].sessionInvitationNotification // empty
    | .link[] | select(.rel == "ChatSessionInformation").href] | last // empty' <<<"$answer")
  [[ -z $url ]] || session[$who]=$url
  url=$(jq --raw-output '[.notificationList // [] | .[].messageNotification // empty
    | .link[] | select(.rel == "ChatMessage").href] | last // empty' <<<"$answer")
  [[ -z $url ]] || message[$who]=$url
}

post() {
  request POST "$1" --header 'Content-Type: application/json' --data "$2"
}

# Sends a request to a path or URL, and gives the body of the answer: request METHOD WHERE [OPTION…]
request() {
  local where=$2
  [[ $where == http* ]] || where="http://$rest/$where"
  curl --silent --show-error --fail-with-body --max-time 10 --header 'Accept: application/json' \
    --request "$1" "${@:3}" "$where"
}
