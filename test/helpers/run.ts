/**
 * `npm test`: runs the compiled test files with tap, prints skipped files with the reason, and writes `build/test-report.tap`
 * (tap's whole output) and `build/test-summary.json` (the counts, for CI). Accepts file names: `npm test --
 * test/core/totp.test.ts`. Runs in the top folder.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import { dropLeftovers } from './database.js'
import { readReport } from './report.js'
import { stores, type Stores } from './stores.js'

const here = await stores()
const run = randomBytes(4).toString('hex')
console.log(`stores: ${here.databaseUrl ? 'PostgreSQL' : 'embedded Postgres'}, ${here.redisUrl ? 'Redis' : 'no Redis'}`)

const files = await testFiles(process.argv.slice(2))
const { lines, code } = await runTap(files)
await writeFile(join('build', 'test-report.tap'), lines.join('\n') + '\n')
if (here.databaseUrl !== undefined) await dropLeftovers(here.databaseUrl, run)

const report = readReport(lines)
const lost = files.filter((file) => !report.files.includes(file))
for (const file of lost) console.log(`not ok ${sourceOf(file)}: tap gave no result`)
for (const { file, reason } of report.skipped) console.log(`skipped: ${sourceOf(file)}: ${reason}`)
const failed = Math.max(report.failed + lost.length, code === 0 ? 0 : 1)
await writeFile(
  join('build', 'test-summary.json'), JSON.stringify({ passed: report.passed, failed, skipped: report.skipped.length }) + '\n'
)
console.log(`${report.passed} passed, ${failed} failed, ${report.skipped.length} skipped, in ${files.length} files`)
process.exitCode = failed === 0 ? 0 : 1

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
