/**
 * `npm test`: runs the compiled test files with tap, says what was skipped and why, and leaves
 * `build/test-report.tap` (all that tap said) and `build/test-summary.json` (the counts, for CI).
 * Files may be named: `npm test -- test/core/totp.test.ts`. Runs in the top folder.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import { dropLeftovers } from './database.js'
import { readReport } from './report.js'
import { stores, type Stores } from './stores.js'

const TAP = join('node_modules', '.bin', 'tap')
/** The class that tap builds from its plugins, once per installation. */
const TAP_CLASS = join('node_modules', '@tapjs', 'test', 'test-built', 'dist', 'esm', 'index.js')
/** In .taprc, and in tap as it is installed. */
const SWITCHED_OFF = ['@tapjs/typescript', '@tapjs/mock']
/** A test waits about a third of its time, for Postgres or for what it started: one more than there are cores. */
const JOBS = availableParallelism() + 1
/** These compare times of a few milliseconds: one after the other, once all the rest is done. */
const ALONE = ['nobody-learns-which-usernames-exist', 'wrong-used-and-late-codes-are-answered-alike', 'a-rush-of-logins-slows-nobody-else']

const here = await stores()
const run = randomBytes(4).toString('hex')
console.log(`stores: ${here.databaseUrl ? 'PostgreSQL' : 'embedded Postgres'}, ${here.redisUrl ? 'Redis' : 'no Redis'}`)
await buildTap()

const files = await testFiles(process.argv.slice(2))
const isAlone = (file: string) => ALONE.includes(basename(file, '.test.js'))
const runs = [
  await runTap(files.filter((file) => !isAlone(file)), JOBS),
  await runTap(files.filter(isAlone), 1)
]
const lines = runs.flatMap((run) => run.lines)
await writeFile(join('build', 'test-report.tap'), lines.join('\n') + '\n')
if (here.databaseUrl !== undefined) await dropLeftovers(here.databaseUrl, run)

const report = readReport(lines)
const lost = files.filter((file) => !report.files.includes(file))
for (const file of lost) console.log(`not ok ${sourceOf(file)}: tap gave no result`)
for (const { file, reason } of report.skipped) console.log(`skipped: ${sourceOf(file)}: ${reason}`)
const failed = Math.max(report.failed + lost.length, runs.every(({ code }) => code === 0) ? 0 : 1)
await writeFile(join('build', 'test-summary.json'), JSON.stringify({ passed: report.passed, failed, skipped: report.skipped.length }) + '\n')
console.log(`${report.passed} passed, ${failed} failed, ${report.skipped.length} skipped, in ${files.length} files`)
process.exitCode = failed === 0 ? 0 : 1

/** tap would notice by itself that its plugins changed, but in the middle of the run, whose first files then fail or time out. */
async function buildTap (): Promise<void> {
  const built = await readFile(TAP_CLASS, 'utf8').catch(() => '')
  if (built !== '' && !SWITCHED_OFF.some((plugin) => built.includes(plugin))) return
  const [code] = await once(spawn(TAP, ['build'], { stdio: ['ignore', 'ignore', 'inherit'] }), 'exit')
  if (code !== 0) throw new Error('tap could not build its plugins')
}

/** By the sources: what was compiled from a file that is gone since must not run. */
async function testFiles (named: readonly string[]): Promise<string[]> {
  const sources = named.length > 0
    ? named.map((name) => normalize(name))
    : (await readdir('test', { recursive: true })).filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name)).sort()
  if (sources.length === 0) throw new Error('No test files')
  return sources.map((source) => join('build', source.replace(/\.ts$/, '.js')))
}

function sourceOf (file: string): string {
  return file.replace(/^build\//, '').replace(/\.js$/, '.ts')
}

/** Every file sees the stores that were found here, whatever it would find by itself under load. */
function environment ({ databaseUrl, redisUrl }: Stores): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, COUNTERSIGN_TEST_RUN: run }
  if (databaseUrl !== undefined) env['DATABASE_URL'] = databaseUrl
  if (redisUrl !== undefined) env['REDIS_URL'] = redisUrl
  if (databaseUrl === undefined && redisUrl === undefined) env['COUNTERSIGN_TEST_STORES'] = 'embedded'
  return env
}

async function runTap (files: readonly string[], jobs: number): Promise<{ lines: string[], code: number }> {
  if (files.length === 0) return { lines: [], code: 0 }
  const tap = spawn(TAP, ['run', '--reporter=tap', `--jobs=${jobs}`, ...files],
    { env: environment(here), stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(tap, 'exit')
  const lines: string[] = []
  let block: string[] = []
  for await (const line of createInterface({ input: tap.stdout })) {
    lines.push(line)
    block.push(line)
    if (!/^(not )?ok /.test(line)) continue
    console.log(line.startsWith('ok ') ? line : block.filter(isWorthReading).join('\n'))
    block = []
  }
  const [code] = await exit
  return { lines, code: code ?? 1 }
}

/** In the report of a file that failed: what passed is noise. */
function isWorthReading (line: string): boolean {
  return line.trim() !== '' && !/^ +(ok \d|1\.\.\d|# time=)/.test(line)
}
