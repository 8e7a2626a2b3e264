/**
 * `npm test`: runs the compiled test files with tap, prints skipped files with the reason, and writes `build/test-report.tap`
 * (tap's whole output) and `build/test-summary.json` (the counts, for CI). Where at most three of many files failed, they run
 * once more, by themselves, and those that pass then are named as unsteady. Accepts file names: `npm test --
 * test/core/totp/totp.test.ts`. With `--all`, slow proofs have their full size (thorough.ts). Runs in the top folder.
 */
import { randomBytes } from 'node:crypto'
import { appendFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { dropLeftovers, makeTemplates } from './database.js'
import { runFiles, type Cost, type PoolOptions } from './pool.js'
import { readReport, type Report } from './report.js'
import { groupOf, inOrder, isAlone, isFullOnly, sourceOf } from './schedule.js'
import { stores, type Stores } from './stores.js'

/** A run with more failed files than this one is not repeated: then the machine is not the reason. */
const MOST_REPEATED = 3
const { values: { all }, positionals } = parseArgs({ options: { all: { type: 'boolean', default: false } }, allowPositionals: true })

await rm(join('build', 'test-report.tap'), { force: true })
const here = await stores()
const id = randomBytes(4).toString('hex')
console.log(`stores: ${here.databaseUrl ? 'PostgreSQL' : 'embedded Postgres'}, ${here.redisUrl ? 'Redis' : 'no Redis'}`)
console.log(all ? 'slow proofs: in full' : 'slow proofs: in their light form (in full: npm test -- --all)')

if (here.databaseUrl !== undefined) await makeTemplates(here.databaseUrl, id)

const costs: Cost[] = []
const files = await testFiles(positionals)
const first = await run(files, isAlone)
const suspects = first.failed > 0 && first.failedFiles.length <= MOST_REPEATED && files.length > MOST_REPEATED ? first.failedFiles : []
const second = suspects.length > 0 ? await run(suspects, () => true) : undefined
if (here.databaseUrl !== undefined) await dropLeftovers(here.databaseUrl, id)

// The last run of a file counts. A file that failed beside others and passes alone is named: its test depends on a quiet machine.
const unsteady = suspects.filter((file) => second?.failedFiles.includes(file) === false)
for (const file of unsteady) console.log(`unsteady: ${sourceOf(file)}: failed beside other files, passed alone`)
for (const { file, reason } of first.skipped) console.log(`skipped: ${sourceOf(file)}: ${reason}`)
const failed = second?.failed ?? first.failed
const skipped = first.skipped.length
await writeFile(
  join('build', 'test-summary.json'), JSON.stringify({ passed: first.passed, failed, skipped, unsteady: unsteady.map(sourceOf) }) + '\n'
)
await writeFile(join('build', 'test-costs.txt'), costTable(costs))
console.log(`${first.passed} passed, ${failed} failed, ${skipped} skipped, in ${files.length} files`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs files with tap. A file without a result counts as failed. */
async function run (files: readonly string[], isAlone: PoolOptions['isAlone']): Promise<Report> {
  const lines: string[] = []
  const passed = await runFiles(files, {
    env: environment(here),
    cost (cost) { costs.push(cost) },
    groupOf,
    isAlone,
    print (block) {
      lines.push(...block)
      const result = block.at(-1) ?? ''
      const read = result.startsWith('ok ') ? [result] : block.filter(isWorthReading)
      if (read.length > 0) console.log(read.join('\n'))
    }
  })
  await appendFile(join('build', 'test-report.tap'), lines.join('\n') + '\n')
  const report = readReport(lines)
  const lost = files.filter((file) => !report.files.includes(file))
  for (const file of lost) console.log(`not ok ${sourceOf(file)}: tap gave no result`)
  return {
    ...report,
    failed: Math.max(report.failed + lost.length, passed ? 0 : 1),
    failedFiles: [...new Set([...report.failedFiles, ...lost])]
  }
}

/** Lists the sources, so that a compiled file without its source does not run. */
async function testFiles (named: readonly string[]): Promise<string[]> {
  const sources = named.length > 0
    ? named.map((name) => normalize(name))
    : (await readdir('test', { recursive: true })).filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name)).sort()
        .filter((source) => all || !isFullOnly(source))
  if (sources.length === 0) throw new Error('No test files')
  return inOrder(sources.map((source) => join('build', source.replace(/\.ts$/, '.js'))))
}

/** Returns the seconds and the CPU seconds of each file, the longest first. */
function costTable (costs: readonly Cost[]): string {
  return costs.toSorted((a, b) => b.seconds - a.seconds)
    .map(({ file, seconds, cpuSeconds }) => `${seconds.toFixed(1)} ${cpuSeconds.toFixed(1)} ${sourceOf(file)}\n`).join('')
}

/** Every file uses the stores found here, and does not search again under load. */
function environment ({ databaseUrl, redisUrl }: Stores): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, COUNTERSIGN_TEST_RUN: id }
  if (databaseUrl !== undefined) Object.assign(env, { DATABASE_URL: databaseUrl, COUNTERSIGN_TEST_TEMPLATES: '1' })
  if (redisUrl !== undefined) env['REDIS_URL'] = redisUrl
  if (all) env['COUNTERSIGN_TEST_ALL'] = '1'
  if (databaseUrl === undefined && redisUrl === undefined) env['COUNTERSIGN_TEST_STORES'] = 'embedded'
  return env
}

/** Filters the report of a failed file: passed assertions and totals are left out. */
function isWorthReading (line: string): boolean {
  return line.trim() !== '' && !/^ *(1\.\.\d|# time=|# \{|TAP version)|^ +ok \d/.test(line)
}
