import type { Authorization } from './authorized-key.ts'
import type { Hop } from './hops.ts'
import { describeMisuse, type Misuse } from './key-trial.ts'

/** A row of the table at the end: what it is about, whether it is done, and where it is. */
export type Row = readonly [what: string, state: 'ok' | 'created' | 'TO DO', where: string]

/**
 * @param authorization undefined if the server accepted the key before
 * @param isAccepted whether the key can do there what it is made for
 */
export function describeAuthorization(
  { server, place, mayDo }: Hop,
  authorization: Authorization | undefined,
  isAccepted: boolean,
  misuse: Misuse,
): Row {
  const { outcome, lines = [] } = authorization ?? {}
  const { shell } = misuse
  const done = (where: string): Row => ['authorized_keys', outcome === 'added' ? 'created' : 'ok', `${place} ${where}`]
  const toDo = (where: string): Row => ['authorized_keys', 'TO DO', where]
  const its = lines.length > 0 ? `line ${lines.join(' and ')}` : 'its own line'
  const replace = `put the line above in place of ${its} of ~/.ssh/authorized_keys there`
  const tooMuch = describeMisuse(misuse)
  if (tooMuch !== undefined) {
    const isThere = outcome === 'added' || outcome === 'present'
    const elsewhere = 'take the key out of the other files that AuthorizedKeysFile in sshd_config names there'
    const also = lines.length > 0 ? `delete ${its} of ~/.ssh/authorized_keys there` : elsewhere
    return toDo(`${place} ${tooMuch}: ${isThere ? also : replace}; then run setup-ssh again`)
  }
  if (isAccepted && shell === 'unknown') {
    return done(`lets it ${mayDo}; it is not known whether it refuses a shell: see above`)
  }
  if (isAccepted) return done(`lets it ${mayDo}, and refuses a shell`)
  if (outcome === 'differs') {
    return toDo(`${place} has the key with other restrictions: ${replace}, or set SSH_KEY_FILE for a key of its own`)
  }
  if (shell === 'refused') return toDo(`${place} lets the key in, but it cannot ${mayDo}: see above`)
  if (outcome === 'no commands' || shell === 'other') {
    return toDo(
      `${place} runs no commands: its login shell is nologin, git-shell or similar; as root on that host, run chsh -s /bin/sh ${server.user}; then run setup-ssh again`,
    )
  }
  if (outcome === 'no access') return toDo(`you cannot log in as ${place}: have the line above added there`)
  if (outcome === 'not written') return toDo(`the line could not be written to ${place}'s authorized_keys: see above`)
  return toDo(`the line is there, but ${place} does not accept the key: see above`)
}

/**
 * @param isTooMuch whether the key may do more than it should: the CI is to have it only when it may not
 * @param how they are to be stored
 * @param problem why the secrets are not stored in the repository; undefined if they are
 */
export function describeHandOut(
  folder: string | undefined,
  repository: string | undefined,
  isTooMuch: boolean,
  problem: string | undefined,
  how: string,
): Row[] {
  const rows: Row[] = []
  if (folder) rows.push(['secrets in files', 'created', `${folder}: delete it once they are stored`])
  if (isTooMuch)
    rows.push([
      'secrets of the CI',
      'TO DO',
      'only once authorized_keys is right: until then the key may do more than it should',
    ])
  else if (repository && !problem) rows.push(['secrets of the CI', 'created', repository])
  else {
    rows.push(['secrets of the CI', 'TO DO', how])
  }
  return rows
}

export function formatTable(rows: readonly Row[]): string {
  return rows.map(([what, state, where]) => `${what.padEnd(18)} ${state.padEnd(8)} ${where}`).join('\n')
}
