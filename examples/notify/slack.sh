#!/bin/sh
# Tells a Slack channel how a deployment ended. In app.git/.env, with this file in app.git/server/:
#   NOTIFY='sh server/slack.sh'
#   SLACK_WEBHOOK_URL=https://hooks.slack.com/services/...
# Needs curl and jq. The address is a secret: curl reads it from a descriptor, so that no argument list has it.
set -eu
: "${SLACK_WEBHOOK_URL:?is not set}"

jq '
  # Slack takes what is in <> for a command, such as <!channel>.
  def plain: gsub("&"; "&amp;") | gsub("<"; "&lt;") | gsub(">"; "&gt;");
  def word:
    if .live | not then ":x: Not live"
    elif .request == "rollback" or .request == "downgrade" then ":leftwards_arrow_with_hook: Rolled back to"
    elif .notChecked then ":white_check_mark: In place, not checked"
    else ":white_check_mark: Live" end;
  {text: "\(word): \(.commit[:10]) \(.subject // "" | plain), by \(.by // .who | plain): \(.explanation // "" | plain)"}
' |
  curl --silent --show-error --fail --max-time 30 --output /dev/null \
    --header 'Content-Type: application/json' --data-binary @- --config /dev/fd/3 3<<END
url = "$SLACK_WEBHOOK_URL"
END
