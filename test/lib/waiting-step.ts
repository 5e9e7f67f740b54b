import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from './events.ts'
import type { Site } from './site.ts'

/** A step that says when it runs, and goes on when the test lets it. */
export const waitingCommand = 'touch "$STEPS.running"; while ! test -e "$STEPS.go"; do sleep 0.02; done'

/** A shell command as a recipe has it: make wants each dollar twice. */
export const forMake = (command: string) => command.replaceAll('$', '$$$$')

export const waitingMakefile = `\
install-deps:
\t@echo "install $$DEPLOY_COMMIT" >> "$$STEPS"
\t@${forMake(waitingCommand)}

upgrade-db:
\t@echo "upgrade $$DEPLOY_COMMIT" >> "$$STEPS"
`

export const waitForStep = (site: Site) =>
  waitFor(`a step of ${site.folder} runs`, () => existsSync(join(site.folder, 'steps.running')))

export const letGo = (site: Site) => writeFileSync(join(site.folder, 'steps.go'), '')
