import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assertExit } from './exit.ts'
import type { Site } from './site.ts'

/*
 * A database that is a file with its revision. A commit's file `migrations` lists the revisions that it knows, in their
 * order; from any other its commands fail, as Alembic's do ("Can't locate revision").
 */

/** Begins a command that moves the database. */
export const knows = 'grep -qx "$(cat "$STEPS.database")" migrations || { echo "Can\'t locate revision" >&2; exit 1; }'

/** At the revision before the first one. */
export function makeDatabase(site: Site): void {
  writeFileSync(join(site.folder, 'steps.database'), 'r0\n')
}

export const database = (site: Site) => readFileSync(join(site.folder, 'steps.database'), 'utf8').trim()

/** @param migrations the revisions that the commit knows, with blanks between them */
export async function deployPage(site: Site, page: string, migrations: string, expected = 0) {
  const commit = await site.commit({ 'page.txt': page, migrations: migrations.replaceAll(' ', '\n').concat('\n') })
  const { output } = assertExit(await site.deploy(), expected)
  return { commit, output }
}
