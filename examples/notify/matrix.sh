#!/bin/sh
# Tells a Matrix room how a deployment ended. In app.git/.env, with this file in app.git/server/:
#   NOTIFY='sh server/matrix.sh'
#   MATRIX_SERVER=https://matrix.our-server.com
#   MATRIX_ROOM='!abcdefgh:our-server.com'
#   MATRIX_TOKEN=...
# Needs curl and jq. The token is a secret: curl reads it from a descriptor, so that no argument list has it.
set -eu
: "${MATRIX_SERVER:?is not set}" "${MATRIX_ROOM:?is not set}" "${MATRIX_TOKEN:?is not set}"

record=$(cat)
room=$(jq --null-input --raw-output --arg room "$MATRIX_ROOM" '$room | @uri')
# The server drops a message that it has had under the same name.
name=$(printf %s "$record" | jq --raw-output '"\(.commit)-\(.started)"')

printf %s "$record" |
  jq '
    def word:
      if .live | not then "Not live"
      elif .request == "rollback" or .request == "downgrade" then "Rolled back to"
      elif .notChecked then "In place, not checked"
      else "Live" end;
    {msgtype: "m.notice", body: "\(word): \(.commit[:10]) \(.subject // ""), by \(.by // .who): \(.explanation // "")"}
  ' |
  curl --silent --show-error --fail --max-time 30 --output /dev/null --request PUT \
    --header 'Content-Type: application/json' --data-binary @- --config /dev/fd/3 \
    "$MATRIX_SERVER/_matrix/client/v3/rooms/$room/send/m.room.message/$name" 3<<END
header = "Authorization: Bearer $MATRIX_TOKEN"
END
