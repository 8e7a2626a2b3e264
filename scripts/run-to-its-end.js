import { execFileSync } from 'node:child_process'

/** Longest time of an install with a build, on a busy machine. */
const MOST_MS = 300_000

/**
 * Runs a program to its end. One that stands still is ended and begins again, once: npm 11 does once in some hundred installs, with
 * no connection open, and would wait for ever.
 *
 * @param options those of `execFileSync`
 */
export function runToItsEnd (program, args, options, mostMs = MOST_MS) {
  const run = () => execFileSync(program, args, { ...options, timeout: mostMs, killSignal: 'SIGKILL' })
  try {
    return run()
  } catch (error) {
    if (error.code !== 'ETIMEDOUT') throw error
    console.log(`${program} stood still for ${mostMs / 1000} s: again`)
    return run()
  }
}
