import { append, formatOutputs, type RecognizeCi, writeLine } from './ci.ts'

export const gitlab: RecognizeCi = env => {
  if (env.GITLAB_CI !== 'true') return undefined
  return {
    by: env.GITLAB_USER_LOGIN || undefined,
    run: env.CI_JOB_URL || env.CI_PIPELINE_URL || undefined,
    fullHistory: 'the variable `GIT_DEPTH: "0"` in this job',

    beginStep: (name, id) => writeSection(`start:${unixTime()}:${id}[collapsed=true]`, name),
    endStep: id => writeSection(`end:${unixTime()}:${id}`),
    writeOutputs(values) {
      const named = Object.entries(values).map(([name, value]) => [`DEPLOY_${name.toUpperCase()}`, value] as const)
      append('deploy.env', formatOutputs(Object.fromEntries(named)))
    },
  }
}

/** Text from outside cannot look like this: its control characters are removed. */
const writeSection = (section: string, title = '') => writeLine(`\u001b[0Ksection_${section}\r\u001b[0K${title}`)
const unixTime = () => Math.floor(Date.now() / 1000)
