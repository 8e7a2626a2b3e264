/**
 * Runs test files, a process each, as `tap` would, but without its loaders: for coverage and for replacing modules, which
 * nothing here does, they would cost each file and each server that it starts two seconds of CPU. Says TAP.
 *
 *   node suite.js <file>…
 */
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import t from 'tap'

const TIMEOUT_SECONDS = 300
/** These compare times, or hold many requests against a bound: one after the other, once all the rest is done. */
const ALONE = [
  'nobody-learns-which-usernames-exist',
  'wrong-used-and-late-codes-are-answered-alike',
  'a-rush-of-logins-slows-nobody-else',
  'an-ended-session-is-refused-by-every-replica-within-a-second'
]

const isAlone = (file: string) => ALONE.includes(basename(file, '.test.js'))

t.jobs = availableParallelism()
// Each file has a time of its own.
t.setTimeout(0)
const files = process.argv.slice(2)
for (const file of [...files.filter((file) => !isAlone(file)), ...files.filter(isAlone)]) {
  void t.spawn(process.execPath, [file], {
    buffered: !isAlone(file),
    timeout: TIMEOUT_SECONDS * 1000,
    env: { ...process.env, TAP_TIMEOUT: String(TIMEOUT_SECONDS) }
  }, file)
}
