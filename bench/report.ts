/** One scenario: the seconds of each pair of runs. */
export interface Result {
  readonly scenario: string
  /** What pushlive is compared with. */
  readonly baseline: string
  /** The ratio that is aimed at. */
  readonly atMost: number | undefined
  readonly pairs: readonly (readonly [baseline: number, pushlive: number])[]
}

/** How long pushlive takes as something grows. */
export interface Growth {
  readonly what: string
  readonly sizes: readonly number[]
  /** Seconds for each size, round by round. */
  readonly rounds: readonly (readonly number[])[]
  /** The ratio of the largest to the smallest that is aimed at. */
  readonly atMost: number | undefined
}

/** Peaks of resident memory, in kB. */
export interface Memory {
  readonly program: string
  readonly bash: number
  readonly pushlive: number
  readonly atMost: number | undefined
}

export const median = (numbers: readonly number[]) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

/** Pair by pair: a machine whose speed drifts slows both of a pair. */
const ratioOf = ({ pairs }: Result) => median(pairs.map(([baseline, pushlive]) => pushlive / baseline))
const milliseconds = (pairs: Result['pairs'], index: 0 | 1) => Math.round(median(pairs.map(pair => pair[index])) * 1000)
const megabytes = (kilobytes: number) => (kilobytes / 1024).toFixed(0)

export function formatResult(result: Result): string {
  const { scenario, baseline, atMost = '', pairs } = result
  const times = ([0, 1] as const).map(index => milliseconds(pairs, index).toLocaleString('en'))
  return `| ${scenario} | ${baseline} | ${times.join(' | ')} | ${ratioOf(result).toFixed(2)} | ${atMost} | ${pairs.length} |`
}

export function formatGrowth(growth: Growth): string {
  const { what, sizes, rounds, atMost = '' } = growth
  const list = (numbers: readonly number[]) => numbers.map(each => each.toLocaleString('en')).join(' / ')
  const ratio = median(rounds.map(round => (round.at(-1) ?? 0) / (round[0] ?? 0))).toFixed(2)
  const times = sizes.map((_, index) => Math.round(median(rounds.map(round => round[index] ?? 0)) * 1000))
  return `| ${what} | ${list(sizes)} | ${list(times)} | ${ratio} | ${atMost} | ${rounds.length} |`
}

export function formatReport(
  results: readonly Result[],
  growths: readonly Growth[],
  memory: readonly Memory[],
  machine: string,
): string {
  return `\
| scenario | baseline | baseline, ms | pushlive, ms | ratio | aim | pairs |
|---|---|---|---|---|---|---|
${results.map(formatResult).join('\n')}

| what grows | sizes | pushlive, ms | largest / smallest | aim | rounds |
|---|---|---|---|---|---|
${growths.map(formatGrowth).join('\n')}

| peak of resident memory | bash, MB | pushlive, MB | aim, MB |
|---|---|---|---|
${memory.map(({ program, bash, pushlive, atMost }) => `| ${program} | ${megabytes(bash)} | ${megabytes(pushlive)} | ${atMost === undefined ? '' : megabytes(atMost)} |`).join('\n')}

Times are medians; the ratio is the median of the ratios of the pairs, each run one after the other. ${machine}
`
}
