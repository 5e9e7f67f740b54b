# puma serves the code in PATH_TO_GIT_WORK_TREE: puma -C /home/seita/puma.rb. At SIGUSR1 (a phased restart) it ends its
# workers in turn, and starts each anew in the release that the link leads to. If that cannot be loaded, the other
# workers serve on.
#
#   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
#   RESTART='kill -USR1 "$(cat /home/seita/puma.pid)"'
#   HEALTH_CHECK_URL=http://127.0.0.1:8000/health
#
# With systemd, which starts it at the first deployment, too: ExecReload=/bin/kill -USR1 $MAINPID in its unit, and
# RESTART="sudo -n /usr/bin/systemctl reload-or-restart puma".
#
# Start it without `bundle exec`, which would give all later releases the Gemfile of the first. Rails' config/boot.rb
# loads the Gemfile of each release.

# At each restart puma looks where the link leads to.
directory "/home/seita/flexmeasures"
pidfile "/home/seita/puma.pid"
bind "tcp://127.0.0.1:8000"
workers 2
# By default a worker that ends closes connections whose request it has not read yet. With nginx in front (nginx.conf),
# no slow client keeps a thread waiting.
queue_requests false
