/** The report's style sheet and script. Its policy allows these two by their hashes, and no others. */
export const style = `
:root { --ground: #fbfbfa; --card: #fff; --text: #1d1f21; --quiet: #5c636a; --line: #e2e4e6; --live: #18794e; --failed: #c62a2f; --rollback: #8a5d00; --link: #0b63b5;
  --step0: #3e63dd; --step1: #0e9888; --step2: #d9730d; --step3: #8e4ec6; --step4: #ab8f00; --step5: #cf3897; --step6: #46a758; --step7: #889096; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #151718; --card: #1c1f21; --text: #e8eaec; --quiet: #a0a7ae; --line: #33383c; --live: #4cc38a; --failed: #ff6369; --rollback: #f0c000; --link: #6cb6ff;
    --step0: #849dff; --step1: #4ccdbb; --step2: #ff9f50; --step3: #bf7af0; --step4: #f0c000; --step5: #f65cb6; --step6: #63c174; --step7: #9ba1a6; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header, main { max-width: 62rem; margin: 0 auto; }
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
header p, .quiet { color: var(--quiet); }
p { margin: .25rem 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin-top: 1rem; }
.now { border-left: .4rem solid var(--live); }
.now p { overflow-wrap: anywhere; }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
a { color: var(--link); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(12rem, 40%), 1fr)); gap: 1rem; margin: 0 0 .75rem; }
dt { color: var(--quiet); } dd { margin: 0; font-size: .875rem; color: var(--quiet); }
dd strong { font-size: 1.5rem; font-weight: 600; color: var(--text); }
svg { display: block; width: 100%; overflow: visible; }
svg.times { height: 6.5rem; } svg.steps { height: 9rem; } svg.key { display: inline-block; width: .75rem; height: .75rem; margin-right: .25rem; }
svg text { font-size: .75rem; fill: var(--quiet); }
svg line { stroke-width: 2; } line.axis { stroke: var(--line); stroke-width: 1; }
line.live { stroke: var(--live); } line.failed { stroke: var(--failed); } line.rollback { stroke: var(--rollback); stroke-dasharray: 4 2; }
.plot { display: grid; grid-template-columns: auto 1fr; gap: .5rem; }
.scale { display: flex; flex-direction: column; justify-content: space-between; margin: -.6em 0; font-size: .75rem; color: var(--quiet); text-align: right; white-space: nowrap; }
.ends { display: flex; justify-content: space-between; gap: .5rem; font-size: .8125rem; color: var(--quiet); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .5rem 0 0; padding: 0; font-size: .875rem; }
.swatch { display: inline-block; width: .75rem; height: .75rem; border-radius: .125rem; margin-right: .375rem; }
${[0, 1, 2, 3, 4, 5, 6, 7].map(step => `.step${step} { fill: var(--step${step}); background: var(--step${step}); }`).join('\n')}
#filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-bottom: .75rem; }
#filter[hidden] { display: none; }
input, select { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .25rem; padding: .25rem .5rem; max-width: 100%; }
output { color: var(--quiet); }
#deployments { list-style: none; margin: 0; padding: 0; }
#deployments li { border-top: 1px solid var(--line); content-visibility: auto; contain-intrinsic-size: auto 4rem; }
summary { padding: .5rem 0; cursor: pointer; overflow-wrap: anywhere; }
summary .quiet, .reason { display: block; font-size: .875rem; }
.reason { color: var(--failed); }
.outcome { display: inline-block; min-width: 6rem; font-weight: 600; }
li.live .outcome { color: var(--live); } li.failed .outcome { color: var(--failed); }
details > :not(summary) { margin: 0 0 .75rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .875rem; } th { text-align: left; font-weight: 400; padding: .125rem 1.5rem .125rem 0; } td { text-align: right; }
pre { max-height: 24rem; overflow: auto; padding: .75rem; background: var(--ground); border: 1px solid var(--line); border-radius: .25rem; overflow-wrap: normal; }
@media print {
  @page { margin: 12mm; }
  :root { --ground: #fff; --card: #fff; --text: #000; --quiet: #444; color-scheme: light; }
  body { padding: 0; font-size: 9pt; } header, main { max-width: none; }
  section { border: 0; padding: 0; margin-top: 4mm; break-inside: avoid; } .all { break-inside: auto; }
  .now { border-left: 1mm solid var(--live); padding-left: 3mm; } .figures { grid-template-columns: repeat(4, 1fr); }
  #filter, details > :not(summary) { display: none; } a { color: inherit; text-decoration: none; }
  svg, .swatch { print-color-adjust: exact; }
  #deployments { columns: 2; column-gap: 6mm; font-size: 6.5pt; }
  #deployments li { break-inside: avoid; content-visibility: visible; contain-intrinsic-size: auto; }
  summary { padding: .3mm 0; list-style: none; line-height: 1.25; display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
  summary .quiet { display: inline; font-size: inherit; } .reason { display: none; } .outcome { min-width: 6em; }
}
`

/** Shows times as the reader's clock does, and filters the list. Without it the page shows all deployments, in UTC. */
export const script = `
const two = number => String(number).padStart(2, '0')
for (const each of document.querySelectorAll('time')) {
  const time = new Date(each.dateTime)
  each.title = each.textContent
  each.textContent = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-') + ' ' + two(time.getHours()) + ':' + two(time.getMinutes())
}
const form = document.getElementById('filter')
const all = [...document.querySelectorAll('#deployments > li')]
const texts = all.map(each => each.querySelector('summary').textContent.toLowerCase())
const show = () => {
  const outcome = form.elements.outcome.value
  const words = form.elements.text.value.toLowerCase().split(/\\s+/).filter(Boolean)
  let count = 0
  all.forEach((each, index) => {
    each.hidden = (outcome && !each.classList.contains(outcome)) || !words.every(word => texts[index].includes(word))
    if (!each.hidden) count++
  })
  form.elements.count.value = count + ' of ' + all.length
}
form.addEventListener('input', show)
form.addEventListener('submit', event => event.preventDefault())
form.hidden = false
show()
`
