import { isInCi } from './ci/recognize.ts'
import type { Session } from './clone.ts'
import type { DeploymentScreen } from './deployment-screen.ts'

/** How a deployment is told. */
export interface Voice {
  /** Only for a person at a terminal, who has not asked for more. */
  readonly screen: DeploymentScreen | undefined
  readonly say: (text: string) => void
  /** As the bash script says what it does next. */
  readonly announceStep: (text: string) => void
}

/** Whether what is printed is read by a person, in one place: not in a CI, nor by a program. */
export const isForPerson = ({ options }: Pick<Session, 'options'>) =>
  process.stdout.isTTY === true && process.stderr.isTTY === true && !options.verbose && !options.json && !isInCi()

/** What only a terminal needs is loaded only for one. */
export async function openVoice(session: Session): Promise<Voice> {
  if (!isForPerson(session) || session.options['dry-run']) {
    return { screen: undefined, say: console.log, announceStep: console.log }
  }
  const screen = new (await import('./deployment-screen.ts')).DeploymentScreen()
  return { screen, say: text => screen.say(text), announceStep: () => {} }
}
