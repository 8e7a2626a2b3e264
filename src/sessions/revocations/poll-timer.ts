/** "Poll now" messages closer together than this count as one. */
export const NUDGE_MS = 20
/** Shortest time between polls, for any number of messages: a busy deployment sends hundreds a second; so can an intruder in Redis. */
const LEAST_GAP_MS = 100

/** Runs one at a time. A call during a run gets the next one, since the current one may have missed the news. */
export function oneAtATime (run: () => Promise<void>) {
  let running: Promise<void> | undefined
  let queued: Promise<void> | undefined

  function call (): Promise<void> {
    if (running === undefined) {
      running = run().finally(() => { running = undefined })
      return running
    }
    queued ??= running.catch(() => {}).then(() => { queued = undefined; return call() })
    return queued
  }

  return { call, settled: async () => { await Promise.allSettled([running, queued]) } }
}

/** A tenth more or less: replicas that started together do not stay together. */
export const spread = (ms: number): number => ms * (0.9 + Math.random() * 0.2)

/** Polls at an interval, and earlier after a message. */
export function createPollTimer (poll: () => Promise<void>, pauseMs: () => number, report: (fault: unknown) => void) {
  let timer: NodeJS.Timeout | undefined
  /** Time at which the timer fires next, and time at which it fired last. */
  let dueAtMs = Infinity
  let rangAtMs = -Infinity
  let stopped = false
  let isFailing = false

  /** Reports an outage once, not four times a second. */
  function fail (fault: unknown): void {
    if (!isFailing) report(fault)
    isFailing = true
  }

  function heal (): void {
    isFailing = false
  }

  /** Moves the next poll only to an earlier time, so that a stream of messages cannot delay it. */
  function schedule (ms: number): void {
    const wantedAtMs = performance.now() + ms
    if (stopped || wantedAtMs >= dueAtMs) return
    clearTimeout(timer)
    dueAtMs = wantedAtMs
    timer = setTimeout(ring, ms).unref()
  }

  function ring (): void {
    dueAtMs = Infinity
    rangAtMs = performance.now()
    poll().then(heal, fail).finally(() => schedule(pauseMs()))
  }

  return {
    start: () => schedule(0),
    nudge: () => schedule(Math.max(NUDGE_MS, rangAtMs + LEAST_GAP_MS - performance.now())),
    stop () {
      stopped = true
      clearTimeout(timer)
    }
  }
}
