#!/bin/bash
# FlexMeasures' DEPLOY.sh, changed just enough to run twice.
set -e
git remote add staging "$STAGING_REMOTE_REPO" 2>/dev/null || git remote set-url staging "$STAGING_REMOTE_REPO"
git push --follow-tags --set-upstream staging "$BRANCH_NAME"
