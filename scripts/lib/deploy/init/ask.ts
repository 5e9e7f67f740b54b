import { isCancel, select, text } from '@clack/prompts'
import { flatten } from '../../shared/foreign-text.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import type { Questions } from './answers.ts'
import type { Kind } from './kinds/kind.ts'
import type { Answers } from './plan.ts'
import { starts } from './starts/starts.ts'

/** What was given as options, and what is not. */
export interface Given {
  readonly server?: string | undefined
  readonly kind?: string | undefined
  readonly start?: string | undefined
  readonly health?: string | undefined
  readonly shared?: string | undefined
  readonly ci?: string | undefined
}

/** How one that was not given is found. */
type Find = <T>(name: keyof Given, question: Question<T>) => Promise<T>

interface Question<T> {
  /** In words, with an example. */
  readonly means: string
  readonly guess: string | undefined
  /** What there is to choose from; without it the answer is a text. */
  readonly choices?: readonly { readonly value: string; readonly label: string }[]
  readonly read: (text: string) => T
}

/** The five questions, in their order; the CI is guessed. */
export async function findAnswers(find: Find, questions: Questions, branch: string): Promise<Answers> {
  const place = await find('server', {
    means: 'Server, such as seita@shop.example.org; with a port or a path: user@host:2222, user@host:/srv/shop.git',
    ...questions.server,
  })
  const label = ({ name, means }: Kind) => ({ value: name, label: means })
  const kind = await find('kind', {
    means: 'Kind of application',
    ...questions.kind,
    choices: questions.kind.choices.map(label),
  })
  const start = questions.start(kind)
  const startName = await find('start', {
    means: 'What starts it on the server',
    ...start,
    choices: start.choices.map(name => ({ value: name, label: starts[name].means })),
  })
  const health = await find('health', {
    means: 'A page that answers 2xx on the server once the application works; none if nothing is to be asked',
    ...questions.health(kind),
  })
  const shared = await find('shared', {
    means: 'Files and folders that are not committed and outlive a release, such as uploads or a database file',
    ...questions.shared(kind),
  })
  const ci = await find('ci', { means: 'CI', ...questions.ci })
  return { place, kind, start: startName, health, shared, ci, branch }
}

/**
 * Takes options, and the guesses for the rest.
 *
 * @throws Failure (usage) that names all that is missing or wrong
 */
export async function takeAnswers(
  given: Given,
  questions: Questions,
  branch: string,
  isYes: boolean,
): Promise<Answers> {
  const problems: string[] = []
  const find: Find = async (name, { means, guess, choices, read }) => {
    const text = given[name] ?? (isYes || name === 'ci' ? guess : undefined)
    const among = choices ? ` (${choices.map(({ value }) => value).join(', ')})` : ''
    if (text === undefined) problems.push(`--${name} is missing: ${means}${among}`)
    try {
      return read(text ?? guess ?? choices?.[0]?.value ?? '')
    } catch (error) {
      if (text !== undefined) problems.push(`--${name} ${flatten(text)} ${(error as Error).message}`)
      return undefined as never
    }
  }
  let answers: Answers | undefined
  try {
    answers = await findAnswers(find, questions, branch)
  } catch (error) {
    // What was asked after one that is wrong.
    if (problems.length === 0) throw error
  }
  if (problems.length === 0 && answers) return answers
  const what = isYes
    ? 'What cannot be guessed is missing, or an answer is wrong.'
    : 'init asks, and there is no terminal here.'
  throw new Failure(exitCode.usage, what, {
    why: problems.join('\n'),
    fix: isYes ? 'give them as options' : 'give these as options, or --yes for the guesses and --server user@host',
  })
}

/** Asks for what was not given as an option; an option that is wrong is asked for again. @throws Failure after Ctrl-C */
export function askAnswers(given: Given, questions: Questions, branch: string): Promise<Answers> {
  const find: Find = async (name, { means, guess, choices, read }) => {
    const problem = (text: string) => {
      try {
        read(text)
        return undefined
      } catch (error) {
        return `This ${(error as Error).message}.`
      }
    }
    const option = given[name] ?? (name === 'ci' ? guess : undefined)
    if (option !== undefined) {
      const wrong = problem(option)
      if (wrong === undefined) return read(option)
      throw new Failure(exitCode.usage, `--${name} ${flatten(option)}: ${wrong}`)
    }
    const answer = choices
      ? await select({ message: means, options: [...choices], ...(guess && { initialValue: guess }) })
      : await text({ message: means, ...(guess && { initialValue: guess }), validate: given => problem(given ?? '') })
    return read(verifyAnswered<string>(answer))
  }
  return findAnswers(find, questions, branch)
}

/** Asks whether a file is to be replaced. */
export async function askToReplace(path: string): Promise<boolean> {
  const options = [
    { value: 'keep', label: 'keep yours' },
    { value: 'replace', label: 'replace it by what init would write (+)' },
  ]
  return verifyAnswered(await select({ message: `${path} is there already, and differs`, options })) === 'replace'
}

function verifyAnswered<T>(answer: T | symbol): T {
  if (!isCancel(answer)) return answer as T
  throw new Failure(130, 'Nothing was written.')
}
