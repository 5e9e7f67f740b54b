/** One scenario: the seconds of each pair of runs. */
export interface Result {
  readonly scenario: string
  /** What pushlive is compared with. */
  readonly baseline: string
  /** The ratio that is aimed at. */
  readonly atMost: number | undefined
  readonly pairs: readonly (readonly [baseline: number, pushlive: number])[]
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

export function formatReport(results: readonly Result[], memory: readonly Memory[], machine: string): string {
  return `\
| scenario | baseline | baseline, ms | pushlive, ms | ratio | aim | pairs |
|---|---|---|---|---|---|---|
${results.map(formatResult).join('\n')}

| peak of resident memory | bash, MB | pushlive, MB | aim, MB |
|---|---|---|---|
${memory.map(({ program, bash, pushlive, atMost }) => `| ${program} | ${megabytes(bash)} | ${megabytes(pushlive)} | ${atMost === undefined ? '' : megabytes(atMost)} |`).join('\n')}

Times are medians; the ratio is the median of the ratios of the pairs, each run one after the other. ${machine}
`
}

/** A bar for each scenario: how long pushlive takes where its baseline takes 1. A bar of more than 2 ends there. */
export function drawChart(results: readonly Result[]): string {
  const [left, space, right, height] = [300, 360, 60, 26]
  const scale = space / 2
  const rows = results.map((result, index) => {
    const { scenario, baseline, atMost } = result
    const ratio = ratioOf(result)
    const width = Math.min(ratio * scale, space)
    const y = 34 + index * height
    const name = baseline === 'bash' ? scenario : `${scenario} / ${baseline}`
    const aim =
      atMost === undefined
        ? ''
        : `<path d="M${(left + atMost * scale).toFixed(1)} ${y - 2}v20" stroke="#b00" stroke-dasharray="3 2"/>`
    return `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${name}</text><rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="16" fill="#3b6ea5"/>${aim}<text x="${(left + width + 6).toFixed(1)}" y="${y + 13}">${ratio.toFixed(2)}</text>`
  })
  const bottom = 40 + results.length * height
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + space + right} ${bottom}" font-family="sans-serif" font-size="12">
<title>How long pushlive takes where plain bash takes 1</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="18">time of pushlive / plain bash (line: 1; dashed: aim)</text>
<path d="M${(left + scale).toFixed(1)} 26V${bottom - 6}" stroke="#333"/>
${rows.join('\n')}
</svg>
`
}
