import { refusals } from '../../src/core/refusals.js'
import type { Answered } from './load.js'
import { quantile, startLoad } from './load.js'
import type { Stage, StageOptions } from './stage.js'

/** Observations of one fault: a row of the table. */
export interface Seen {
  requests: number
  /** Descriptions of wrong answers, at most a few. */
  wrong: string[]
  p99Ms: number
  /** Time from the end of the fault to full service; null if the service never stopped. */
  recoveryMs: number | null
  /** Additional observations, for the last column of the table. */
  note?: string
}

export interface Scenario {
  name: string
  /** Part of the short form, which `.ci/run --all` runs. */
  isQuick?: boolean
  stage?: StageOptions
  run (stage: Stage): Promise<Seen>
}

export interface FaultOptions {
  perSecond?: number
  /** Duration of the fault, and of the observation before and after it. */
  faultMs?: number
  calmMs?: number
  begin (stage: Stage): unknown
  end (stage: Stage): unknown
  /** Returns null if the answer is correct during the fault, otherwise the error. */
  judge (answer: Answered): string | null
  /** Limit for the 99th percentile of the latency during the fault. */
  p99Ms: number
  /** Returns true when full service is back. */
  isBack? (stage: Stage): Promise<boolean>
}

const BACK_MS = 2_000

/**
 * Runs a load before, during and after a fault. During the fault, `judge` decides which answers are correct; from `BACK_MS`
 * after its end, the normal rules apply.
 */
export async function underLoad (
  stage: Stage, { perSecond = 200, faultMs = 4_000, calmMs = 1_000, begin, end, judge, p99Ms, isBack }: FaultOptions
): Promise<Seen> {
  const load = startLoad(stage.replicas.map(({ base }) => base), stage.people, perSecond)
  await pass(calmMs)
  const faultAtMs = performance.now()
  await begin(stage)
  await pass(faultMs)
  await end(stage)
  const endedAtMs = performance.now()
  await pass(BACK_MS + calmMs)
  const answers = await load.stop()
  if (isBack !== undefined && !await isBack(stage)) throw new Error('not back to full service')

  const during = answers.filter(({ atMs }) => atMs >= faultAtMs && atMs < endedAtMs)
  const lastBad = answers.filter((answer) => answer.atMs >= endedAtMs && unlike(answer) !== null).at(-1)
  const wrong = [
    ...answers.filter(({ atMs }) => atMs < faultAtMs).map(unlike),
    ...during.map((answer) => judge(answer)),
    // A request of the fault's time can get its answer after the fault's end.
    ...answers.filter(({ atMs, ms }) => atMs >= endedAtMs && atMs - ms < endedAtMs + BACK_MS)
      .map((answer) => unlike(answer) === null ? null : judge(answer)),
    ...answers.filter(({ atMs, ms }) => atMs - ms >= endedAtMs + BACK_MS)
      .map((answer) => unlike(answer) && `after ${BACK_MS} ms: ${unlike(answer)}`)
  ].filter((fault) => fault !== null)
  const p99 = quantile(during.map(({ ms }) => ms), 0.99)
  if (p99 > p99Ms) wrong.push(`p99 ${Math.round(p99)} ms, ${p99Ms} allowed; slowest: ${slowest(during)}`)
  const wasAway = during.some((answer) => unlike(answer) !== null)
  return {
    requests: answers.length,
    wrong,
    p99Ms: p99,
    recoveryMs: lastBad === undefined ? (wasAway ? 0 : null) : lastBad.atMs - endedAtMs
  }
}

function slowest (answers: Answered[]): string {
  const { action, status, ms } = answers.reduce((most, one) => one.ms > most.ms ? one : most)
  return `${action} ${status} after ${Math.round(ms)} ms`
}

/** Checks an answer by the normal rules. Returns null for 200 and for the correct refusals of wrong codes, otherwise the error. */
export function unlike ({ action, status, code }: Answered): string | null {
  const isRight = action === 'wrong' ? ['OTP_INVALID', 'OTP_LOCKED', 'SESSION_ENDED'].includes(code ?? '') : status === 200
  return isRight ? null : `${action}: ${status} ${code ?? ''}`
}

/** For faults of Postgres: a request that cannot be decided gets 503 with `Retry-After`, without internal details. */
export function orUnavailable (answer: Answered): string | null {
  if (unlike(answer) === null) return null
  if (!isUnavailable(answer)) return unlike(answer)
  if (!(Number(answer.retryAfter) <= 2)) return `${answer.action}: 503 without Retry-After`
  if (answer.message !== refusals.UNAVAILABLE[1]) return `${answer.action}: 503 that says "${answer.message ?? ''}"`
  return null
}

export function isUnavailable ({ status, code }: Answered): boolean {
  return status === 503 && code === 'UNAVAILABLE'
}

/** Waits in real time, because servers are killed and frozen. */
export function pass (ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, ms) })
}
