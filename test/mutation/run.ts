/**
 * `npm run mutate -- [--only TEXT] [--condition TEXT] [--reads] [--cases] [--list] TESTS`: removes each condition of the statements that
 * decide, one at a time, and runs the given tests (by default the promises of DEFAULT). A condition whose removal no test notices is
 * printed as SURVIVED, unless known-survivors.json has its reason; exits with 1 if there is one.
 *
 *   npm run mutate -- --only otp_totp test/promises/a-code-is-accepted-once.test.ts
 *
 * TEXT chooses statements, or conditions, by a part of their text. Each mutant runs only the tests that send its statement.
 * `--reads` takes statements that change nothing, such as the one that reads revocations; `--cases` conditions of `case` too.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { conditionsOf, without, type Condition } from './conditions.js'
import { readKnown } from './known.js'
import { stores } from '../helpers/stores.js'

const DEFAULT = [
  'a-code-is-accepted-once', 'accepted-steps-only-rise', 'guesses-are-bounded', 'a-lock-spares-the-owner', 'a-recovery-code-works-once',
  'a-refresh-token-is-used-once', 'password-guesses-are-counted-exactly', 'a-passkey-challenge-is-used-once',
  'a-login-that-waited-gives-nothing-after-a-change', 'no-token-outlives-its-session', 'logging-out-goes-by-the-session'
].map((name) => `test/promises/${name}.test.ts`)

/** A mutant that makes a test wait for ever is noticed too. */
const MOST_MS = 240_000

const { values: { only, condition: chosen, list, reads, cases }, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    condition: { type: 'string', default: '' },
    reads: { type: 'boolean', default: false },
    cases: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false }
  }
})
const known = await readKnown()
const tests = positionals.length > 0 ? positionals : DEFAULT
const folder = await mkdtemp(join(tmpdir(), 'countersign-mutation-'))
const { databaseUrl, redisUrl } = await stores()
if (databaseUrl === undefined) throw new Error('The tests of races need PostgreSQL')
const preload = pathToFileURL(join(import.meta.dirname, 'preload.js')).href

/** Runs a test file. @returns true if it passes */
async function passes (test: string, more: NodeJS.ProcessEnv): Promise<boolean> {
  const file = join('build', test.replace(/\.ts$/, '.js'))
  const child = spawn(process.execPath, [`--import=${preload}`, file], {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      TAP_BAIL: '1',
      // Of tap itself, half a minute: a busy machine would notice every mutant.
      TAP_TIMEOUT: String(MOST_MS / 1000),
      ...more
    },
    stdio: 'ignore'
  })
  const timer = setTimeout(() => { child.kill('SIGKILL') }, MOST_MS)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  return code === 0
}

/** Statement, with the tests that send it. */
const users = new Map<string, string[]>()
for (const [index, test] of tests.entries()) {
  const record = join(folder, `record-${index}`)
  await writeFile(record, '')
  const recording = { MUTATION_RECORD: record, ...(reads ? { MUTATION_READS: '1' } : {}) }
  if (!await passes(test, recording)) throw new Error(`${test} fails without a mutation`)
  for (const line of new Set((await readFile(record, 'utf8')).split('\n').filter((line) => line !== ''))) {
    const text = JSON.parse(line) as string
    if (text.includes(only)) users.set(text, [...users.get(text) ?? [], test])
  }
}

/** Test that noticed the last mutant. */
let last = ''

/** Runs the tests until one fails, first the one that noticed the mutant before. @returns the test that fails */
async function isNoticed (sql: string, condition: Condition): Promise<string | undefined> {
  const [from, to] = [join(folder, 'from'), join(folder, 'to')]
  await writeFile(from, sql)
  await writeFile(to, without(sql, condition))
  const inOrder = [...users.get(sql)!].sort((a, b) => Number(b === last) - Number(a === last))
  for (const test of inOrder) {
    if (await passes(test, { MUTATION_FROM: from, MUTATION_TO: to })) continue
    last = test
    return test
  }
  return undefined
}

const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 100)
const nameOf = (sql: string): string => {
  const targets = [...sql.matchAll(/\b(?:update|insert into|delete from)\s+((?:"[^"]*"|\w|\.)+)/gi)]
    .map((match) => match[1]!.replaceAll('"', ''))
  return `${createHash('sha256').update(sql).digest('hex').slice(0, 6)} (${[...new Set(targets)].join(', ')})`
}

const counts = { noticed: 0, known: 0, survived: 0 }
let beside = 0
for (const sql of users.keys()) {
  const all = conditionsOf(sql, cases).filter(({ text }) => text.includes(chosen))
  const conditions = all.filter(({ text }) => !known.isBeside(text))
  beside += all.length - conditions.length
  console.log(`${nameOf(sql)}: ${conditions.length} conditions, and ${all.length - conditions.length} beside the decision`)
  if (list) {
    for (const { text } of conditions) console.log(`  ${short(text)}`)
    continue
  }
  for (const condition of conditions) {
    const by = await isNoticed(sql, condition)
    const reason = known.reasonOf(sql, condition.text)
    const outcome = by !== undefined ? 'noticed' : reason === undefined ? 'survived' : 'known'
    counts[outcome]++
    const label = outcome === 'survived' ? 'SURVIVED' : outcome.padEnd(8)
    const stale = by !== undefined && reason !== undefined ? ': take it out of known-survivors.json' : ''
    console.log(`  ${label} ${short(condition.text)} [${by ?? reason ?? 'no reason'}]${stale}`)
  }
}
console.log(`${counts.noticed + counts.known + counts.survived} conditions removed, ${counts.noticed} noticed, ${counts.known} known, ` +
  `${counts.survived} survived; ${beside} beside the decision were left`)
await rm(folder, { recursive: true, force: true })
process.exitCode = counts.survived === 0 ? 0 : 1
