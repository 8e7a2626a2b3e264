/** Order and processes of the test files. */
import { basename } from 'node:path'

/** These compare times, count what answers within a bound cost, or read every transaction of the server. */
const ALONE = [
  'nobody-learns-which-usernames-exist',
  'wrong-used-and-late-codes-are-answered-alike',
  'a-rush-of-logins-slows-nobody-else',
  'an-ended-session-is-refused-by-every-replica-within-a-second',
  'revocation-poller',
  'round-trips'
]
/** These change or measure their process: the registry of statements, the clock, parsers of types, the tracer, open sockets. */
const APART = [
  'test/tables/statement.test.ts', 'test/tables/statements.test.ts', 'test/factors/factor.test.ts', 'test/tracing/tracing.test.ts',
  'test/model/liveness-replay.test.ts', 'test/promises/the-database-clock-decides.test.ts',
  'test/regressions/a-hosts-type-parsers-change-what-we-read.test.ts',
  'test/regressions/a-start-that-fails-leaves-things-open.test.ts'
]

/** These have no light form, and another file checks the same by one case: they run with `--all`, or by name. */
const FULL_ONLY = [
  // Installs the packages of the service; npm-start.test.ts starts the service, package.test.ts installs the other package.
  'test/package-service.test.ts',
  // Hosts of their own packages; hosts/readme.test.ts has the whole flow, and hosts/strict.test.ts another one.
  'test/hosts/cookies.test.ts', 'test/hosts/jwt.test.ts', 'test/hosts/provider.test.ts'
]

/** True for files that run only with `--all`, or by name. */
export const isFullOnly = (file: string): boolean => FULL_ONLY.includes(sourceOf(file))

/** These take longest. They begin first, so that no process ends long after the others. */
const LONGEST: readonly string[] = [
]

/** True for files that run one at a time, after the others. */
export const isAlone = (file: string): boolean => ALONE.includes(basename(file, '.test.js'))

/**
 * Returns the name of the group whose files share processes; null for a process of its own. Files whose app is a host share no process
 * with those whose app is the service. Programs like the recipes have one each.
 */
export function groupOf (file: string): string | null {
  if (!file.endsWith('.test.js') || APART.includes(sourceOf(file))) return null
  return sourceOf(file).startsWith('test/attached/') ? 'attached' : 'service'
}

/** Returns the files in the order in which they begin: processes of few files, then those of many, which end with short files. */
export function inOrder (files: readonly string[]): string[] {
  const rank = (file: string) => {
    const place = LONGEST.indexOf(sourceOf(file))
    const group = groupOf(file)
    return (group === null ? 0 : group === 'attached' ? 1_000 : 2_000) + (place === -1 ? LONGEST.length : place)
  }
  return files.toSorted((a, b) => rank(a) - rank(b))
}

export function sourceOf (file: string): string {
  return file.replace(/^build\//, '').replace(/\.js$/, '.ts')
}
