import { setTimeout as delay } from 'node:timers/promises'

/** Waits between attempts. They double from the first to the longest. */
export interface Pace {
  firstMs: number
  /** @default firstMs: the wait stays the same */
  longestMs?: number
  /** Random part of a wait, as a fraction, so that replicas do not try at the same moment. @default 0.2 */
  jitter?: number
}

export interface Repetition extends Pace {
  /** @default without an end */
  tries?: number
  /** Ends the repetition, a wait included. */
  signal?: AbortSignal
  /** True if the first attempt has failed already. @default false */
  waitsFirst?: boolean
  /** True if the process must not end during a wait. @default false */
  holdsProcess?: boolean
}

/** Returns the wait after a number of failed attempts. */
export function waitMs (failed: number, { firstMs, longestMs = firstMs, jitter = 0.2 }: Pace): number {
  const grown = Math.min(firstMs * 2 ** (failed - 1), longestMs)
  return grown * (1 - jitter + 2 * jitter * Math.random())
}

/**
 * Repeats an attempt until it returns true. This is the only retry loop of the program; an own one, because each statement runs
 * in it and a package would cost more than the loop.
 *
 * @param attempt receives true for the last try
 * @returns false after the last try, or once the signal is aborted
 * @throws the error of an attempt, at once
 */
export async function repeat (attempt: (isLast: boolean) => Promise<boolean>, repetition: Repetition): Promise<boolean> {
  const { tries = Infinity, signal, waitsFirst = false, holdsProcess = false } = repetition
  for (let failed = waitsFirst ? 1 : 0; ; failed++) {
    if (failed > 0) {
      const options = { ref: holdsProcess, ...(signal === undefined ? {} : { signal }) }
      await delay(waitMs(failed, repetition), undefined, options).catch(() => {})
    }
    if (signal?.aborted === true) return false
    const isLast = failed + 1 >= tries
    if (await attempt(isLast)) return true
    if (isLast) return false
  }
}
