import { dirname } from 'node:path'
import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import type { Listen, Started } from './start.ts'

/** nginx alone: the rename of the link is all that it has to see. */
export function nginx(place: Place, { documents = '' }: Process, listen: Listen): Started {
  const { name, workTree } = place
  const root = documents ? `${workTree}/${documents}` : workTree
  return {
    restart: '',
    comment: 'nginx looks each file up in the release that the link leads to by then: nothing is to be restarted.',
    packages: ['nginx'],
    files: {
      'nginx.conf': `\
# nginx serves the live release of ${name}. The rename of the link switches all files at once.
server {
    listen ${listen.host}:${listen.port};
${forOthers}
    root ${root};
    # Look files up for each request: open_file_cache would remember those of the old release.
    open_file_cache off;

    location / {
        try_files $uri $uri/ $uri.html =404;
    }

${hide(documents)}}
`,
    },
    asRoot: [...letThrough(workTree), ...enableSite(name)],
  }
}

/** Paths that are for nobody. @param documents the folder that nginx serves, empty for the whole release */
export const hide = (documents: string) => `\
    # Such as .git${documents ? '' : ', and these settings'}.
    location ~ ${documents ? '' : '^/deploy/|'}/\\.(?!well-known) {
        return 404;
    }
`

export const forOthers = `\
    # The health check asks there. For everybody, name the site and take the # away; then certbot --nginx gets a certificate.
    #listen 80;
    #listen [::]:80;
    #server_name www.example.org;`

export const letThrough = (workTree: string): string[] => [
  "# nginx's user passes through this folder, and can still not list it.",
  `chmod o+x ${dirname(workTree)}`,
]

export const enableSite = (name: string): string[] => [
  `install -m 644 nginx.conf /etc/nginx/sites-available/${name}`,
  `ln -sf ../sites-available/${name} /etc/nginx/sites-enabled/${name}`,
  'nginx -t -q',
  'systemctl enable --quiet nginx',
  'systemctl reload-or-restart nginx',
]
