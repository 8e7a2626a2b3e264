import { createHash } from 'node:crypto'
import type { Counters } from '../core/counters.js'

/** Time for the whole answer. A new password is accepted without it. */
const ANSWER_MS = 1_000
/** An answer has some 50 KB with padding. */
const MOST_BYTES = 1_000_000
const PREFIX_LENGTH = 5

export interface BreachedPasswordsOptions {
  /** Range service: the prefix is appended as the last segment of the path. */
  url: string
  counters: Counters
  /** Called at the first fault after an answer, not at each one. */
  report: (fault: unknown) => void
}

/**
 * Asks a range service for breached passwords. It learns the first 5 of 40 hexadecimal digits of the password's SHA-1, which
 * some 800 breached passwords share, and with padding not even the size of the answer tells which.
 *
 * @returns a function that is true for a breached password, and false if the service does not answer
 */
export function createBreachedPasswords ({ url, counters, report }: BreachedPasswordsOptions): (password: string) => Promise<boolean> {
  let isFailing = false

  return async function isBreached (password) {
    const digest = createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase()
    try {
      const answer = await askRange(`${url.replace(/\/$/, '')}/${digest.slice(0, PREFIX_LENGTH)}`)
      const isFound = hasSuffix(answer, digest.slice(PREFIX_LENGTH))
      isFailing = false
      counters.count('password_checks_total', [isFound ? 'breached' : 'not_found'])
      return isFound
    } catch (error) {
      counters.count('password_checks_total', ['unavailable'])
      if (!isFailing) report(error)
      isFailing = true
      return false
    }
  }
}

async function askRange (url: string): Promise<string> {
  const response = await fetch(url, {
    headers: { 'Add-Padding': 'true' }, redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS)
  })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) throw new Error('The answer is too long')
    chunks.push(chunk)
  }
  if (response.status !== 200) throw new Error(`The service of breached passwords answered ${response.status}`)
  return Buffer.concat(chunks).toString('latin1')
}

/** Rows are `SUFFIX:count`. A row of padding has the count 0. */
function hasSuffix (answer: string, suffix: string): boolean {
  return answer.split(/\r?\n/).some((row) => {
    const [found = '', count = ''] = row.split(':')
    return found.toUpperCase() === suffix && /^[0-9]+$/.test(count) && Number(count) > 0
  })
}
