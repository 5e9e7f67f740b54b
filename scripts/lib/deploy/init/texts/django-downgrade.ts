/** examples/django-downgrade.sh. */
export const djangoDowngrade = `#!/bin/bash
# Takes each Django app back to its last migration in $DEPLOY_DB_REVISION, or to none. In .env on the server:
#   DB_REVISION='python manage.py showmigrations --plan'
#   DOWNGRADE_DB='bash /home/seita/django-downgrade.sh'
set -euo pipefail

# In the order of their dependencies, which is not that of their names.
applied=$(python manage.py showmigrations --plan | sed -n 's/^\\[X\\] *//p')
then=$(grep -Fx "$DEPLOY_DB_REVISION" <<<"$applied" || true)
since=$(grep -Fvx "$DEPLOY_DB_REVISION" <<<"$applied" || true)

for app in $(cut -d. -f1 <<<"$since" | sort -u); do
  last=$(sed -n "s/^$app\\.//p" <<<"$then" | tail -n 1)
  python manage.py migrate --noinput "$app" "\${last:-zero}"
done
`
