import type { Place } from '../place.ts'
import type { Listen } from './start.ts'

const usual: Listen = { host: '127.0.0.1', port: 8000 }

/** An example, with the names of this place in place of its own. */
export function fill(
  text: string,
  { user, name, repository, workTree, files }: Place,
  { host, port }: Listen = usual,
): string {
  const own: Readonly<Record<string, string>> = {
    '/home/seita/flexmeasures': workTree,
    // What is beside the files is not replaced with them.
    '/home/seita/gunicorn.pid': `${repository}/gunicorn.pid`,
    '/home/seita/gunicorn.log': `${repository}/gunicorn.log`,
    '/home/seita': files,
    '127.0.0.1:8000': `${host}:${port}`,
    flexmeasures: name,
    seita: user,
  }
  return text.replace(
    /\/home\/seita\/(?:flexmeasures|gunicorn\.(?:pid|log))\b|\/home\/seita\b|127\.0\.0\.1:8000\b|\bflexmeasures\b|\bseita\b/g,
    found => own[found] ?? found,
  )
}
