/**
 * Runs test files, one process each, like `tap`, but without its loaders: they serve coverage and module replacement, which
 * the tests do not use, and cost each file and each started server two seconds of CPU. Prints TAP.
 *
 *   node suite.js <file>…
 */
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import t from 'tap'

const TIMEOUT_SECONDS = 300
/** These compare times, or count many requests against a bound: they run one at a time, after the other files. */
const ALONE = [
  'nobody-learns-which-usernames-exist',
  'wrong-used-and-late-codes-are-answered-alike',
  'a-rush-of-logins-slows-nobody-else',
  'an-ended-session-is-refused-by-every-replica-within-a-second'
]

const isAlone = (file: string) => ALONE.includes(basename(file, '.test.js'))

t.jobs = availableParallelism()
// Each file has its own time limit.
t.setTimeout(0)
const files = process.argv.slice(2)
for (const file of [...files.filter((file) => !isAlone(file)), ...files.filter(isAlone)]) {
  void t.spawn(process.execPath, [file], {
    buffered: !isAlone(file),
    timeout: TIMEOUT_SECONDS * 1000,
    env: { ...process.env, TAP_TIMEOUT: String(TIMEOUT_SECONDS) }
  }, file)
}
