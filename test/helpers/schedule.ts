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
  // Hosts of their own packages; hosts/readme.test.ts has the whole flow, and package.test.ts compiles against the published types.
  'test/hosts/cookies.test.ts', 'test/hosts/jwt.test.ts', 'test/hosts/provider.test.ts', 'test/hosts/strict.test.ts'
]

/** True for files that run only with `--all`, or by name. */
export const isFullOnly = (file: string): boolean => FULL_ONLY.includes(sourceOf(file))

/** These take longest: by their own work, or by waits. They begin first, so that no process ends long after the others. */
const LONGEST: readonly string[] = [
  'test/attached/codes.test.ts', 'test/attached/factors.test.ts',
  'test/hosts/readme.test.ts', 'test/package.test.ts', 'test/hosts/testing.test.ts', 'test/promises/a-notice-is-not-lost.test.ts',
  'test/regressions/a-demoted-primary-is-taken-for-the-primary.test.ts', 'test/pages/tabs.test.ts', 'test/pages/the-whole-flow.test.ts',
  'test/sessions/revocations/shared-readings.test.ts', 'test/routes/revocations.test.ts', 'test/imports/round-trip.test.ts',
  'test/commands/cli.test.ts', 'test/routes/policy-switched.test.ts', 'test/fuzz/search.test.ts', 'test/histories/histories.test.ts',
  'test/regressions/a-misspelt-address-starts-a-trial.test.ts', 'test/server-drain.test.ts', 'test/pages/staff.test.ts',
  'test/regressions/the-log-blames-the-wrong-thing.test.ts', 'test/server.test.ts', 'test/tables/plans.test.ts',
  'test/state-machine.test.ts', 'test/regressions/a-host-does-not-start-while-postgres-stands-still.test.ts',
  'test/promises/an-ended-session-is-refused-by-other-services-within-a-second.test.ts',
  'test/regressions/a-flood-of-logins-shuts-the-known-network-out.test.ts', 'test/model/model.test.ts',
  'test/regressions/two-registrations-share-a-namespace.test.ts', 'test/migrate.test.ts', 'test/tls-to-stores.test.ts',
  'test/regressions/a-silent-connection-holds-a-closing-process.test.ts', 'test/promises/every-error-has-one-shape.test.ts',
  'test/pages/keyboard.test.ts', 'test/pages/elements-at-hosts.test.ts', 'test/pages/time-limits.test.ts', 'test/pages/firefox.test.ts',
  'test/promises/settings-of-the-server-change-nothing.test.ts', 'test/imports/jsonl/killed.test.ts', 'test/hover-texts.test.ts',
  'test/promises/kill-9-loses-nothing-answered.test.ts', 'test/commands/user/user.test.ts', 'test/imports/django/people.test.ts'
]

const BROWSER = /^test\/(pages\/|docs-page\.|factors\/passkeys\/chromium\.)/

/** True for files that run one at a time, after the others. */
export const isAlone = (file: string): boolean => ALONE.includes(basename(file, '.test.js'))

/**
 * Returns the name of the group whose files share processes; null for a process of its own. Files whose app is a host share no process
 * with those whose app is the service; those of Chromium share a browser. Programs like the recipes have one process each.
 */
export function groupOf (file: string): string | null {
  const source = sourceOf(file)
  if (!file.endsWith('.test.js') || APART.includes(source)) return null
  return source.startsWith('test/attached/') ? 'attached' : BROWSER.test(source) ? 'browser' : 'service'
}

/** In the order in which they begin. */
const GROUPS = [null, 'attached', 'browser', 'service']

/** Returns the files in the order in which they begin: processes of few files, then those of many, which end with short files. */
export function inOrder (files: readonly string[]): string[] {
  const rank = (file: string) => {
    const place = LONGEST.indexOf(sourceOf(file))
    const group = groupOf(file)
    return GROUPS.indexOf(group) * 1_000 + (place === -1 ? LONGEST.length : place)
  }
  return files.toSorted((a, b) => rank(a) - rank(b))
}

export function sourceOf (file: string): string {
  return file.replace(/^build\//, '').replace(/\.js$/, '.ts')
}
