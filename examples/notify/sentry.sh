#!/bin/sh
# Tells Sentry which release is live, so that each error is shown with the deployment that it came with. In app.git/.env,
# with this file in app.git/server/:
#   NOTIFY='sh server/sentry.sh'
#   SENTRY_ORG=our-team
#   SENTRY_PROJECT=shop
#   SENTRY_AUTH_TOKEN=...               (with the scope project:releases)
#   SENTRY_ENVIRONMENT=staging          (production, if it is not set)
# The application names the same release: the commit. Needs curl and jq. The token is a secret: curl reads it from a
# descriptor, so that no argument list has it.
set -eu
: "${SENTRY_ORG:?is not set}" "${SENTRY_PROJECT:?is not set}" "${SENTRY_AUTH_TOKEN:?is not set}"

record=$(cat)
commit=$(printf %s "$record" | jq --raw-output 'select(.live).commit')
[ -n "$commit" ] || exit 0
releases=${SENTRY_URL:-https://sentry.io}/api/0/organizations/$SENTRY_ORG/releases

post() {
  curl --silent --show-error --fail --max-time 20 --output /dev/null \
    --header 'Content-Type: application/json' --data-binary @- --config /dev/fd/3 "$1" 3<<END
header = "Authorization: Bearer $SENTRY_AUTH_TOKEN"
END
}

printf %s "$record" | jq '{version: .commit, projects: [env.SENTRY_PROJECT]}' | post "$releases/"
printf %s "$record" |
  jq '
    def time: . / 1000 | floor | todate;
    {environment: (env.SENTRY_ENVIRONMENT // "production"), dateStarted: (.started | time), dateFinished: (.ended | time)}
  ' | post "$releases/$commit/deploys/"
