import { excess, ratio, type Measured, type Spread } from './contest.js'

/** A row of the table: the result of one contestant at one kind of work. A figure that was not measured is absent. */
export interface Row {
  work: string
  contestant: string
  cpuUs?: Spread
  perSecond?: Spread
  /** 99th percentile at half of the capacity, over the rounds. */
  p99Ms?: Spread
  /** The goals, the measured figures, and whether they meet the goals. */
  verdicts?: Verdict[]
}

export interface Verdict { goal: string, measured: string, holds: boolean }

export function rowOf (work: string, { name, cpuUs, perSecond }: Measured, more: Pick<Row, 'p99Ms' | 'verdicts'> = {}): Row {
  return { work, contestant: name, cpuUs, perSecond, ...more }
}

/** Compares the CPU per request. */
export function atMostOver (limit: Measured, ours: Measured, us: number): Verdict {
  const over = excess(ours.cpuUsByRound, limit.cpuUsByRound)
  return {
    goal: `≤ ${limit.name} + ${us} µs`,
    measured: `${signed(over.median)} µs; of the lowest rounds ${signed(ours.cpuUs.lowest - limit.cpuUs.lowest)}`,
    holds: over.median <= us
  }
}

/** Compares the CPU per request, as a share. */
export function atMostOf (limit: Measured, ours: Measured, share: number): Verdict {
  const found = ratio(ours.cpuUsByRound, limit.cpuUsByRound)
  return { goal: `≤ ${share} × the CPU of ${limit.name}`, measured: text(found), holds: found.median <= share }
}

export function signed (value: number): string {
  return `${value < 0 ? '−' : '+'} ${Math.abs(value).toFixed(1)}`
}

/** Compares CPU and throughput. The verdict uses CPU, because throughput depends on other processes. */
export function atLeast (limit: Measured, ours: Measured, share: number): Verdict[] {
  const byCpu = ratio(limit.cpuUsByRound, ours.cpuUsByRound)
  const byRate = ratio(ours.perSecondByRound, limit.perSecondByRound)
  return [{
    goal: `≥ ${share} × ${limit.name}`,
    measured: `${text(byCpu)} by CPU, ${text(byRate)} by throughput`,
    holds: byCpu.median >= share
  }]
}

const HEAD = ['work', 'contestant', 'CPU µs: lowest', 'median', 'per second: median', 'p99 ms', 'goal', 'measured', 'holds']

/** Returns Markdown, in the form that docs/performance.md uses. */
export function table (rows: readonly Row[]): string {
  const lines = rows.flatMap(({ work, contestant, cpuUs, perSecond, p99Ms, verdicts = [] }) => {
    const [first, ...others] = verdicts.map(({ goal, measured, holds }) => [goal, measured, holds ? 'yes' : '**no**'])
    const figures = [
      cpuUs?.lowest.toFixed(1) ?? '', cpuUs?.median.toFixed(1) ?? '',
      perSecond === undefined ? '' : `${whole(perSecond.median)} (${whole(perSecond.lowest)}–${whole(perSecond.highest)})`,
      p99Ms === undefined ? '' : `${p99Ms.median.toFixed(2)} (${p99Ms.lowest.toFixed(2)}–${p99Ms.highest.toFixed(2)})`
    ]
    return [[work, contestant, ...figures, ...first ?? ['', '', '']], ...others.map((verdict) => ['', '', '', '', '', '', ...verdict])]
  })
  return [HEAD, HEAD.map((_name, i) => i < 2 || i > 5 ? '---' : '---:'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function whole (value: number): string {
  return value.toFixed(0)
}

export function text ({ lowest, median, highest }: Spread): string {
  return `${median.toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})`
}
