/** Pictures of the table, as SVG: bars of several parts, and latencies by percentile. */

/** Folder of the table and of the pictures. */
export const PICTURES = 'bench'

const WIDTH_PX = 760
const LEFT_PX = 190
const RIGHT_PX = 90
const TOP_PX = 46
const BAR_PX = 34
const GAP_PX = 14
const CHART_PX = 300
/** Told apart in print and by people who see few colours. */
const COLOURS = ['#1b6ca8', '#e07b39', '#5b8c5a', '#8f6bb3', '#707070']

export interface Bar { name: string, parts: ReadonlyArray<{ name: string, value: number }> }

/** @param unit of all values, such as `ms` */
export function drawBars (title: string, unit: string, bars: readonly Bar[]): string {
  const totals = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const scale = (WIDTH_PX - LEFT_PX - RIGHT_PX) / Math.max(...totals)
  const rows = bars.map(({ name, parts }, i) => {
    let x = LEFT_PX
    const boxes = parts.map((part, n) => {
      const width = part.value * scale
      const box = rectangle(x, 0, width, BAR_PX, COLOURS[n % COLOURS.length]!, `${name}, ${part.name}: ${part.value.toFixed(1)} ${unit}`)
      x += width
      return box
    })
    return group(TOP_PX + i * (BAR_PX + GAP_PX), [
      word(LEFT_PX - 8, BAR_PX / 2 + 4, name, 'end'), ...boxes, word(x + 6, BAR_PX / 2 + 4, `${totals[i]!.toFixed(1)} ${unit}`)
    ])
  })
  return page(title, TOP_PX + bars.length * (BAR_PX + GAP_PX), [legend(bars[0]?.parts.map(({ name }) => name) ?? []), ...rows])
}

export interface Line { name: string, latenciesMs: readonly number[] }

/** From the median to one request in ten thousand: each division is a tenth of the requests of the one before it. */
const SHARES = [0.5, 0.9, 0.99, 0.999, 0.9999]
const POINTS_PER_DIVISION = 20

/** Draws each line over the share of slower requests, both axes by powers of ten. */
export function drawPercentiles (title: string, lines: readonly Line[]): string {
  const least = -Math.log10(1 - SHARES[0]!)
  const most = -Math.log10(1 - SHARES.at(-1)!)
  const xOf = (share: number) => 60 + (-Math.log10(1 - share) - least) / (most - least) * (WIDTH_PX - 90)
  const sorted = lines.map(({ name, latenciesMs }) => ({ name, latenciesMs: latenciesMs.toSorted((a, b) => a - b) }))
  const topMs = 10 ** Math.ceil(Math.log10(Math.max(...sorted.map(({ latenciesMs }) => latenciesMs.at(-1) ?? 1))))
  const bottomMs = 0.1
  const yOf = (ms: number) => TOP_PX + CHART_PX * (1 - Math.log10(Math.max(ms, bottomMs) / bottomMs) / Math.log10(topMs / bottomMs))
  const grid = []
  for (let ms = bottomMs; ms <= topMs * 1.001; ms *= 10) {
    grid.push(rule(60, yOf(ms), WIDTH_PX - 30, yOf(ms)), word(54, yOf(ms) + 4, `${Number(ms.toPrecision(1))} ms`, 'end'))
  }
  for (const share of SHARES) {
    grid.push(
      rule(xOf(share), TOP_PX, xOf(share), TOP_PX + CHART_PX),
      word(xOf(share), TOP_PX + CHART_PX + 16, `${Number((share * 100).toFixed(2))} %`, 'middle')
    )
  }
  const drawn = sorted.map(({ latenciesMs }, i) => {
    const points = Array.from({ length: POINTS_PER_DIVISION * (SHARES.length - 1) + 1 }, (_, n) => (
      1 - 10 ** -(least + (most - least) * n / (POINTS_PER_DIVISION * (SHARES.length - 1)))
    )).filter((share) => (1 - share) * latenciesMs.length >= 1)
      .map((share) => `${xOf(share).toFixed(1)},${yOf(latenciesMs[Math.floor(share * latenciesMs.length)]!).toFixed(1)}`)
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="2"/>`
  })
  return page(title, TOP_PX + CHART_PX + 26, [legend(lines.map(({ name }) => name)), ...grid, ...drawn])
}

function page (title: string, height: number, content: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH_PX} ${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH_PX}" height="${height}" fill="#fff"/>`,
    `<text x="8" y="17" font-size="14">${escaped(title)}</text>`,
    ...content,
    '</svg>\n'
  ].join('\n')
}

function legend (names: readonly string[]): string {
  const width = (WIDTH_PX - 16) / Math.max(1, names.length)
  return names.map((name, i) => (
    rectangle(8 + i * width, 26, 10, 10, COLOURS[i % COLOURS.length]!, name) + word(22 + i * width, 35, name)
  )).join('\n')
}

const group = (y: number, content: readonly string[]) => `<g transform="translate(0,${y})">${content.join('')}</g>`

function rectangle (x: number, y: number, width: number, height: number, colour: string, tip: string): string {
  const place = `x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${height}"`
  return `<rect ${place} fill="${colour}"><title>${escaped(tip)}</title></rect>`
}

function word (x: number, y: number, text: string, anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(text)}</text>`
}

function rule (x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="#ccc"/>`
}

export function escaped (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
