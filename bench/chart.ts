/** A bar for each scenario: how long pushlive takes where bash takes 1. */
export function drawChart(bars: readonly { name: string; ratio: number; atMost: number | undefined }[]): string {
  const [left, right, height] = [260, 60, 26]
  const scale = 360 / Math.max(1.5, ...bars.map(({ ratio }) => ratio))
  const width = left + 360 + right
  const rows = bars.map(({ name, ratio, atMost }, index) => {
    const y = 34 + index * height
    const limit =
      atMost === undefined
        ? ''
        : `<path d="M${left + atMost * scale} ${y - 2}v20" stroke="#b00" stroke-dasharray="3 2"/>`
    return `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${name}</text><rect x="${left}" y="${y}" width="${ratio * scale}" height="16" fill="#3b6ea5"/>${limit}<text x="${left + ratio * scale + 6}" y="${y + 13}">${ratio.toFixed(2)}</text>`
  })
  const bottom = 40 + bars.length * height
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="18">time of pushlive / bash (line: bash = 1; dashed: at most)</text>
<path d="M${left + scale} 26V${bottom - 6}" stroke="#333"/>
${rows.join('\n')}
</svg>
`
}
