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

const timesOf = ({ sizes, rounds }: Growth) => sizes.map((_, index) => median(rounds.map(round => round[index] ?? 0)))

export function formatGrowth(growth: Growth): string {
  const { what, sizes, rounds, atMost = '' } = growth
  const list = (numbers: readonly number[]) => numbers.map(each => each.toLocaleString('en')).join(' / ')
  const ratio = median(rounds.map(round => (round.at(-1) ?? 0) / (round[0] ?? 0))).toFixed(2)
  const times = timesOf(growth).map(seconds => Math.round(seconds * 1000))
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

/** A bar for each scenario: how long pushlive takes where its baseline takes 1. A bar of more than 2 ends there. */
export function drawChart(results: readonly Result[]): string {
  const [left, space, right, height] = [330, 360, 60, 26]
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

/** A panel for each, both axes logarithmic; dashed, what is proportional to the size. */
export function drawGrowths(growths: readonly Growth[]): string {
  const columns = 2
  const [width, height] = [390, 210]
  const [left, right, top, bottom] = [20, 60, 40, 30]
  const panels = growths.map((growth, index) => {
    const times = timesOf(growth)
    const [smallest = 1, largest = 1] = [growth.sizes[0], growth.sizes.at(-1)]
    const [fastest, slowest] = [Math.min(...times), Math.max(...times, Math.min(...times) * 10)]
    const scale = (value: number, from: number, to: number) => Math.log(value / from) / Math.log(to / from)
    const x = (size: number) => left + scale(size, smallest, largest) * (width - left - right)
    const y = (seconds: number) => height - bottom - scale(seconds, fastest, slowest) * (height - top - bottom)
    const points = times.map((seconds, at) => ({ size: growth.sizes[at] ?? 1, seconds }))
    const path = points.map(({ size, seconds }) => `${x(size).toFixed(1)} ${y(seconds).toFixed(1)}`).join('L')
    // As far as it stays within the panel.
    const end = Math.min(largest, (smallest * slowest) / (times[0] ?? 1))
    const proportional = `M${x(smallest)} ${y(times[0] ?? 1).toFixed(1)}L${x(end).toFixed(1)} ${y(((times[0] ?? 1) * end) / smallest).toFixed(1)}`
    const marks = points.map(({ size, seconds }) => {
      const [px, py] = [x(size).toFixed(1), y(seconds)]
      const label = seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`
      return `<circle cx="${px}" cy="${py.toFixed(1)}" r="3" fill="#3b6ea5"/><text x="${px}" y="${(py - 7).toFixed(1)}">${label}</text><text x="${px}" y="${height - 8}" text-anchor="middle" fill="#666">${size.toLocaleString('en')}</text>`
    })
    const [column, row] = [index % columns, Math.floor(index / columns)]
    return `<g transform="translate(${column * width} ${row * height})"><text x="${left}" y="20" font-weight="bold">${growth.what}</text><path d="M${left} ${height - bottom}H${width - right}" stroke="#333"/><path d="${proportional}" stroke="#b00" stroke-dasharray="3 2"/><path d="M${path}" stroke="#3b6ea5" stroke-width="2" fill="none"/>${marks.join('')}</g>`
  })
  const rows = Math.ceil(growths.length / columns)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${columns * width} ${rows * height}" font-family="sans-serif" font-size="12">
<title>How long pushlive takes as something grows</title>
<rect width="100%" height="100%" fill="#fff"/>
${panels.join('\n')}
</svg>
`
}
