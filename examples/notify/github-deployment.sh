#!/bin/sh
# Records a deployment at GitHub, which shows it at the commit and under "Deployments". In app.git/.env, with this file in
# app.git/server/:
#   NOTIFY='sh server/github-deployment.sh'
#   GITHUB_REPOSITORY=our-team/shop
#   GITHUB_TOKEN=...                    (fine-grained, for this repository, with "Deployments: read and write")
#   DEPLOYMENT_ENVIRONMENT=staging      (production, if it is not set)
#   APP_URL=https://staging.our-server.com
# Needs curl and jq. The token is a secret: curl reads it from a descriptor, so that no argument list has it.
set -eu
: "${GITHUB_REPOSITORY:?is not set}" "${GITHUB_TOKEN:?is not set}"

record=$(cat)
deployments=${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY/deployments

post() {
  curl --silent --show-error --fail --max-time 20 --header 'Accept: application/vnd.github+json' \
    --header 'Content-Type: application/json' --data-binary @- --config /dev/fd/3 "$1" 3<<END
header = "Authorization: Bearer $GITHUB_TOKEN"
END
}

# No check of the commit has to be green for it, and nothing is merged: it has happened.
id=$(
  printf %s "$record" |
    jq '{
      ref: .commit, auto_merge: false, required_contexts: [],
      environment: (env.DEPLOYMENT_ENVIRONMENT // "production"), description: (.request // "deploy")
    }' | post "$deployments" | jq --exit-status .id
)
printf %s "$record" |
  jq '{
    state: (if .live then "success" else "failure" end), description: (.explanation // "")[:140],
    log_url: .run, environment_url: env.APP_URL
  } | with_entries(select(.value != null))' | post "$deployments/$id/statuses" >/dev/null
