/** examples/php-fpm/pool.conf. */
export const pool = `; php-fpm serves the code in PATH_TO_GIT_WORK_TREE, behind nginx (nginx.conf). The reload empties opcache, and waits
; for the requests that run. Those that come meanwhile wait, too: the socket stays open.
;
;   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
;   RESTART="sudo -n /usr/bin/systemctl reload-or-restart php8.2-fpm"
;   HEALTH_CHECK_URL=http://127.0.0.1:8000/health
;
; Debian: apt-get install php-fpm nginx; this file is /etc/php/8.2/fpm/pool.d/flexmeasures.conf. In sudoers:
;
;   seita ALL=(root) NOPASSWD: /usr/bin/systemctl reload-or-restart php8.2-fpm
[global]
; By default a reload cuts off the requests that run, and their clients get 502. This is for all pools.
process_control_timeout = 30s

[flexmeasures]
user = seita
group = seita
listen = /run/php/flexmeasures.sock
listen.owner = www-data
listen.group = www-data
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
; opcache never looks at the files again. Release folders are used in turn, so without the reload it would answer with
; what was in this folder three deployments ago.
php_admin_value[opcache.validate_timestamps] = 0
`

/** examples/php-fpm/nginx.conf. */
export const site = `# nginx in front of php-fpm (pool.conf). $realpath_root is the release that the link leads to, found for each request.
# With $document_root opcache would know all releases by one path, and a request that runs during the switch would get
# files of both.
server {
    listen 127.0.0.1:8000;
    root /home/seita/flexmeasures/public;

    location / {
        try_files $uri /index.php$is_args$args;
    }

    location ~ \\.php$ {
        try_files $uri =404;
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
        fastcgi_param DOCUMENT_ROOT $realpath_root;
        fastcgi_pass unix:/run/php/flexmeasures.sock;
    }
}
`
