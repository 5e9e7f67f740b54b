# gunicorn serves the code that the hook has put into PATH_TO_GIT_WORK_TREE: gunicorn -c gunicorn.conf.py
#
# It does not watch wsgi.py. Its --reload would, but also every module, and so load the new code before its dependencies
# are installed and the database is upgraded. SIGHUP starts new workers at the right time, and the old ones finish what
# they are at. Should the new code not even load, the workers' failure would end gunicorn: so try to load it first.
#
#   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
#   RESTART='gunicorn --check-config -c /home/seita/gunicorn.conf.py && kill -HUP "$(cat /home/seita/gunicorn.pid)"'
#   HEALTH_CHECK_URL=http://127.0.0.1:8000/
wsgi_app = "wsgi:application"
chdir = "/home/seita/flexmeasures"
pidfile = "/home/seita/gunicorn.pid"
bind = "127.0.0.1:8000"
workers = 2
