/**
 * `npm test`: runs the compiled test files with tap, prints skipped files with the reason, and writes `build/test-report.tap`
 * (tap's whole output) and `build/test-summary.json` (the counts, for CI). Where at most three of many files failed, they run
 * once more, by themselves, and those that pass then are named as unsteady. Accepts file names: `npm test --
 * test/core/totp/totp.test.ts`. Runs in the top folder.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import { dropLeftovers } from './database.js'
import { readReport, type Report } from './report.js'
import { stores, type Stores } from './stores.js'

/** A run with more failed files than this one is not repeated: then the machine is not the reason. */
const MOST_REPEATED = 3

await rm(join('build', 'test-report.tap'), { force: true })
const here = await stores()
const run = randomBytes(4).toString('hex')
console.log(`stores: ${here.databaseUrl ? 'PostgreSQL' : 'embedded Postgres'}, ${here.redisUrl ? 'Redis' : 'no Redis'}`)

const files = await testFiles(process.argv.slice(2))
const first = await runFiles(files)
const suspects = first.failed > 0 && first.failedFiles.length <= MOST_REPEATED && files.length > MOST_REPEATED ? first.failedFiles : []
const second = suspects.length > 0 ? await runFiles(suspects) : undefined
if (here.databaseUrl !== undefined) await dropLeftovers(here.databaseUrl, run)

// The last run of a file counts. A file that failed beside others and passes alone is named: its test depends on a quiet machine.
const unsteady = suspects.filter((file) => second?.failedFiles.includes(file) === false)
for (const file of unsteady) console.log(`unsteady: ${sourceOf(file)}: failed beside other files, passed alone`)
for (const { file, reason } of first.skipped) console.log(`skipped: ${sourceOf(file)}: ${reason}`)
const failed = second?.failed ?? first.failed
const skipped = first.skipped.length
await writeFile(
  join('build', 'test-summary.json'), JSON.stringify({ passed: first.passed, failed, skipped, unsteady: unsteady.map(sourceOf) }) + '\n'
)
console.log(`${first.passed} passed, ${failed} failed, ${skipped} skipped, in ${files.length} files`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs files with tap. A file without a result counts as failed. */
async function runFiles (files: readonly string[]): Promise<Report> {
  const { lines, code } = await runTap(files)
  await appendFile(join('build', 'test-report.tap'), lines.join('\n') + '\n')
  const report = readReport(lines)
  const lost = files.filter((file) => !report.files.includes(file))
  for (const file of lost) console.log(`not ok ${sourceOf(file)}: tap gave no result`)
  return {
    ...report,
    failed: Math.max(report.failed + lost.length, code === 0 ? 0 : 1),
    failedFiles: [...report.failedFiles, ...lost]
  }
}

/** Lists the sources, so that a compiled file without its source does not run. */
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

/** Every file uses the stores found here, and does not search again under load. */
function environment ({ databaseUrl, redisUrl }: Stores): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, COUNTERSIGN_TEST_RUN: run }
  if (databaseUrl !== undefined) env['DATABASE_URL'] = databaseUrl
  if (redisUrl !== undefined) env['REDIS_URL'] = redisUrl
  if (databaseUrl === undefined && redisUrl === undefined) env['COUNTERSIGN_TEST_STORES'] = 'embedded'
  return env
}

async function runTap (files: readonly string[]): Promise<{ lines: string[], code: number }> {
  const tap = spawn(
    process.execPath,
    [join(import.meta.dirname, 'suite.js'), ...files],
    { env: environment(here), stdio: ['ignore', 'pipe', 'inherit'] }
  )
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

/** Filters the report of a failed file: passed assertions are left out. */
function isWorthReading (line: string): boolean {
  return line.trim() !== '' && !/^ +(ok \d|1\.\.\d|# time=)/.test(line)
}
