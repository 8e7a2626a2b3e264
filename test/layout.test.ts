import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { command } from './helpers/command.js'

/** Folders of the product's own code. */
const CODE = ['src', 'plugins', 'routes', 'migrations']

async function filesIn (folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)).sort()
}

const files = (await Promise.all(CODE.map(filesIn))).flat()
const textOf = new Map(await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const)))

/**
 * Questions of a newcomer, the path that the names of files suggest, and the statement that answers. A path that ends with / is a folder:
 * each match is in it. Without a statement, the folder holds one folder for each of its kind, at least two.
 */
const questions: ReadonlyArray<readonly [question: string, path: string, statement: RegExp | null]> = [
  ['where is the length of a lock decided', 'src/factors/lockout.ts', /const LONGEST_LOCK_SECONDS = /],
  ['where is a session\'s row written', 'src/sessions/', /insert into \$\{table\.otp_session\}/],
  ['where do I add an error code', 'src/core/refusals.ts', /^ {2}[A-Z_]+: \[4\d\d, '/m],
  ['where is the QR code drawn', 'routes/totp/set-up.ts', /toDataURL\(/],
  ['which folder for a new kind of factor', 'src/factors/', null],
  ['which folder for a new mail', 'src/events/mail/', /createTransport\(/],
  ['which folder for a new importer', 'src/imports/', null],
  ['where is 429 decided for a network', 'plugins/network-limits.ts', /createRateLimit\(/],
  ['where are revocations read', 'src/sessions/revocations/revocations.sql.ts', /pg_snapshot_xip\(/],
  ['how do I add a setting', 'src/config/settings.ts', /^export const settings = Type\.Object\(/m],
  ['and one that hosts have too', 'src/attach/options/', /checkLifetimes|wholeNumber\(/],
  ['where is the password rule', 'src/core/passwords/password-rule.ts', /return 'too long'/],
  ['where are tokens signed', 'plugins/tokens.ts', /\bsign: \{ algorithm, kid/],
  ['where is a lost phone\'s reset', 'src/factors/reset.ts', /, userId, 'otp_reset'\)/],
  ['where is a session cached in Redis', 'src/sessions/cache/redis-cache.ts', /client\.set\(keyOf\(/],
  ['where is the request\'s time limit', 'src/timing/limits.ts', /const REQUEST_MS = /],
  ['where are columns described', 'src/tables/columns.ts', /^export const columns = /m],
  ['where do I add a metric', 'plugins/metrics.ts', /new Gauge\(/],
  ['where do migrations of the command line run', 'src/commands/migrate.ts', /migrateDown\(dialect/],
  ['where are old rows deleted', 'src/cleanup/', /\bBATCH_ROWS\b/]
]

/** Questions that a new kind of thing, or one that stands in two places, still leaves open. */
const MOST_WRONG = 2

t.test('twenty questions are answered by the names of files: at least eighteen', async (t) => {
  t.equal(questions.length, 20)
  const wrong: string[] = []
  for (const [question, path, statement] of questions) {
    if (statement === null) {
      const folders = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isDirectory())
      if (folders.length < 1) wrong.push(question)
      continue
    }
    const found = files.filter((file) => statement.test(textOf.get(file)!))
    const isThere = (file: string) => path.endsWith('/') ? file.startsWith(path) : file === path
    if (found.length === 0 || !found.every(isThere)) wrong.push(`${question}: ${found.join(', ')}`)
  }
  for (const question of wrong) t.comment(question)
  t.ok(wrong.length <= MOST_WRONG, wrong.join('\n'))
})

t.test('which test shows how a refresh behaves: the one that is named for it', async (t) => {
  const tests = (await readdir('test/promises')).filter((name) => name.includes('refresh-token'))
  t.same(tests, ['a-refresh-token-is-used-once.test.ts'])
})

t.test('a folder has at most twenty files directly in it', async (t) => {
  const counts = new Map<string, number>()
  for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
  t.same([...counts].filter(([, count]) => count > 20), [])
})

/** Returns the files that this one loads. Imports of types alone load none. */
function importsOf (file: string): string[] {
  const imports = [...textOf.get(file)!.matchAll(/^(?:import|export)\s+(type\s+)?([^'";]*?)from\s+'(\.[^']+)'/gm)]
  const isOfTypes = (names: string) => /^\{(?:\s*type [^,}]+,?)+\s*\}$/.test(names.trim())
  return imports.filter(([, type, names]) => type === undefined && !isOfTypes(names!))
    .map(([, , , path]) => normalize(join(dirname(file), path!)).replace(/\.js$/, '.ts'))
}

t.test('an adapter of countersign/client is shorter than forty lines', async (t) => {
  for (const name of ['express', 'hono', 'nest', 'next']) {
    const lines = textOf.get(`src/client/${name}.ts`)!.trimEnd().split('\n').length
    t.ok(lines < 40, `${name}: ${lines}`)
  }
})

t.test('no file imports itself by way of others', async (t) => {
  const done = new Set<string>()
  const cycles: string[] = []
  function visit (file: string, path: readonly string[]): void {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' > '))
    else if (!done.has(file)) for (const next of importsOf(file)) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  t.same(cycles, [])
  t.ok(done.size >= files.length)
})

t.test('test/README.md names a test for each folder of src', async (t) => {
  const readme = await readFile('test/README.md', 'utf8')
  const rows = readme.split('\n').filter((line) => line.startsWith('| `'))
  const folders = (await readdir('src', { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => `src/${name}`)
  const named = (folder: string) => rows.some((row) => row.split('|')[1]!.includes(folder))
  t.same([...folders, 'plugins', 'routes', 'migrations'].filter((folder) => !named(folder)), [])
})

t.test('countersign --help lists tables', async (t) => {
  const { code, stdout } = await command(['--help'], {})
  t.equal(code, 0)
  t.match(stdout, /^ {2}tables /m)
})
