# Each notification of a long poll as a line.
def more($text): if $text then ": \($text)" else "" end;
.notificationList // [] | .[] | to_entries[0] | .value as $it |
if .key == "chatEventNotification" then
  $it.eventType + more($it.eventDescription)
elif .key == "sessionInvitationNotification" then
  "invited by \($it.originatorAddress) (\($it.originatorName)): \($it.subject)"
elif .key == "messageNotification" and $it.chatMessage then
  "message: \($it.chatMessage.text | if length > 100 then "\(length) characters" else . end)"
elif .key == "messageNotification" then
  "composing: \($it.isComposing.state)"
elif .key == "messageDeliveryStatusNotification" then
  $it.status + more($it.errorCode)
else
  "unknown \(.key)"
end
