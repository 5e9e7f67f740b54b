import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from './events.ts'
import type { Site } from './site.ts'

/** An install step that says when it runs, and goes on when the test lets it. */
export const waitingMakefile = `\
install-deps:
\t@echo "install $$DEPLOY_COMMIT" >> "$$STEPS"
\t@touch "$$STEPS.running"; while ! test -e "$$STEPS.go"; do sleep 0.02; done

upgrade-db:
\t@echo "upgrade $$DEPLOY_COMMIT" >> "$$STEPS"
`
export const isRunning = (site: Site) =>
  waitFor(`a step of ${site.folder} runs`, () => existsSync(join(site.folder, 'steps.running')))
export const letGo = (site: Site) => writeFileSync(join(site.folder, 'steps.go'), '')
