/**
 * `npm run mutate -- [--only TEXT] [--condition TEXT] [--reads] [--cases] [--again FILE] [--list] TESTS`: removes each condition of
 * the statements that decide, one at a time, and runs the given tests (by default the promises of DEFAULT). A condition whose removal
 * no test notices is printed as SURVIVED, unless known-survivors.json has its reason; exits with 1 if there is one.
 *
 *   npm run mutate -- --only otp_totp test/promises/a-code-is-accepted-once.test.ts
 *
 * A test is a file, or `file#pattern` for the tests of it whose names match. TEXT chooses statements, or conditions, by a part of their
 * text; statements also by the digest that is printed, and several by one `--only` each.
 * Of each file, a mutant runs only the tests that send its statement, in the order of the files, up to the first that fails.
 * `--reads` takes statements that change nothing, such as the one that reads revocations; `--cases` conditions of `case` too;
 * `--again` only conditions that survived in the output of a run before, kept in a file.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { dropLeftovers, makeTemplates } from '../helpers/database.js'
import { stores } from '../helpers/stores.js'
import { conditionsOf, without, type Condition } from './conditions.js'
import { readKnown } from './known.js'
import { createMutants } from './mutants.js'

const DEFAULT = [
  'a-code-is-accepted-once', 'accepted-steps-only-rise', 'guesses-are-bounded', 'a-lock-spares-the-owner', 'a-recovery-code-works-once',
  'a-refresh-token-is-used-once', 'password-guesses-are-counted-exactly', 'a-passkey-challenge-is-used-once',
  'a-login-that-waited-gives-nothing-after-a-change', 'no-token-outlives-its-session', 'logging-out-goes-by-the-session'
].map((name) => `test/promises/${name}.test.ts`)

const CHANGES = /\b(update|insert into|delete from)\b/i

const { values: { only, condition: chosen, list, reads, cases, again }, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true, default: [''] },
    condition: { type: 'string', default: '' },
    reads: { type: 'boolean', default: false },
    cases: { type: 'boolean', default: false },
    again: { type: 'string' },
    list: { type: 'boolean', default: false }
  }
})
const known = await readKnown()
const tests = positionals.length > 0 ? positionals : DEFAULT
const { databaseUrl, redisUrl } = await stores()
if (databaseUrl === undefined) throw new Error('The tests of races need PostgreSQL')
const id = randomBytes(4).toString('hex')
await makeTemplates(databaseUrl, id)
const mutants = createMutants({
  ...process.env,
  DATABASE_URL: databaseUrl,
  ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
  COUNTERSIGN_TEST_RUN: id,
  COUNTERSIGN_TEST_TEMPLATES: '1'
})

const digestOf = (sql: string): string => createHash('sha256').update(sql).digest('hex').slice(0, 6)
const isChosen = (sql: string): boolean => CHANGES.test(sql) !== reads &&
  only.some((part) => sql.includes(part) || digestOf(sql) === part)

/** Statement, with the tests of each file that send it; null for all, where the file sends it outside of its tests. */
const users = new Map<string, Map<string, string[] | null>>()
for (const file of tests) {
  const { failed, seconds } = await mutants.run(file, { mutant: null, tests: null })
  if (failed !== null) throw new Error(`${file} fails without a mutation: ${failed}`)
  console.log(`${file}: ${seconds.toFixed(1)} s`)
  for (const [sql, names] of await mutants.takeSenders(file)) {
    if (!isChosen(sql)) continue
    const files = users.get(sql) ?? new Map()
    users.set(sql, files.set(file, names.includes('') ? null : names))
  }
}

/** Selections of tests that pass by themselves, or null in place of those that need the others of their file. */
const selections = new Map<string, string[] | null>()

async function selectionOf (file: string, names: string[] | null): Promise<string[] | null> {
  if (names === null) return null
  const key = JSON.stringify([file, names])
  if (!selections.has(key)) {
    const { failed } = await mutants.run(file, { mutant: null, tests: names })
    selections.set(key, failed === null ? names : null)
  }
  return selections.get(key)!
}

/** File that noticed the last mutant. */
let last = ''

/** Runs the tests until one fails, first the file that noticed the mutant before. @returns the test that fails */
async function isNoticed (sql: string, condition: Condition): Promise<string | undefined> {
  const mutant = { from: sql, to: without(sql, condition) }
  for (const [file, names] of [...users.get(sql)!].sort(([a], [b]) => Number(b === last) - Number(a === last))) {
    const { failed } = await mutants.run(file, { mutant, tests: await selectionOf(file, names) })
    if (failed === null) continue
    last = file
    return `${file.replace(/^test\/|\.test\.ts.*$/g, '')}: ${failed}`
  }
  return undefined
}

/** Returns true if the files pass without a mutation in the processes that the mutants left. */
async function areClean (sql: string): Promise<boolean> {
  for (const [file, names] of users.get(sql)!) {
    if (file !== last) continue
    const { failed } = await mutants.run(file, { mutant: null, tests: await selectionOf(file, names) })
    if (failed !== null) return false
  }
  return true
}

const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 160)
const nameOf = (sql: string): string => {
  const targets = [...sql.matchAll(/\b(?:update|insert into|delete from)\s+((?:"[^"]*"|\w|\.)+)/gi)]
    .map((match) => match[1]!.replaceAll('"', ''))
  const parts = [...sql.matchAll(/"?(\w+)"? as (?:materialized )?\(/g)].map((match) => match[1]!)
  return `${digestOf(sql)} (${[...new Set(targets)].join(', ')}; ${parts.join(', ')})`
}

/** Lines of an earlier run, for the conditions that survived in it. */
const before = again === undefined ? null : (await readFile(again, 'utf8')).split('\n')
const survivedBefore = (sql: string, { text }: Condition): boolean => before === null || (
  before.some((line) => line.startsWith(digestOf(sql))) && before.some((line) => line.startsWith(`  SURVIVED ${short(text)} [`))
)

type Verdict = 'noticed' | 'known' | 'survived'

async function judge (sql: string, condition: Condition): Promise<Verdict> {
  const by = await isNoticed(sql, condition)
  const reason = known.reasonOf(sql, condition.text)
  const verdict = by !== undefined ? 'noticed' : reason === undefined ? 'survived' : 'known'
  const label = verdict === 'survived' ? 'SURVIVED' : verdict.padEnd(8)
  console.log(`  ${label} ${short(condition.text)} [${by ?? reason ?? 'no reason'}]`)
  return verdict
}

/** Names the known survivors that were noticed, each time that the statement has such a condition. */
function sayStale (sql: string, conditions: readonly Condition[], verdicts: readonly Verdict[]): void {
  const survivors = new Set(conditions.flatMap(({ text }, at) => verdicts[at] === 'known' ? [known.reasonOf(sql, text)] : []))
  for (const { text } of conditions) {
    const reason = known.reasonOf(sql, text)
    if (reason !== undefined && !survivors.has(reason)) console.log(`  take ${short(text)} out of known-survivors.json: ${reason}`)
  }
}

/** @param isCareful true to end the processes after each mutant that is noticed */
async function mutate (sql: string, conditions: readonly Condition[], isCareful = false): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const condition of conditions) {
    verdicts.push(await judge(sql, condition))
    if (isCareful && verdicts.at(-1) === 'noticed') await mutants.end()
  }
  if (isCareful || !verdicts.includes('noticed') || await areClean(sql)) {
    sayStale(sql, conditions, verdicts)
    return verdicts
  }
  console.log('  a failed test left something behind: once more, each mutant in new processes')
  await mutants.end()
  return await mutate(sql, conditions, true)
}

const all: Verdict[] = []
let beside = 0
for (const sql of users.keys()) {
  const found = conditionsOf(sql, cases).filter(({ text }) => text.includes(chosen))
  const conditions = found.filter((condition) => !known.isBeside(sql, condition)).filter((condition) => survivedBefore(sql, condition))
  beside += found.length - conditions.length
  console.log(`${nameOf(sql)}: ${conditions.length} conditions, and ${found.length - conditions.length} beside the decision`)
  if (!list) all.push(...await mutate(sql, conditions))
  else for (const { text } of conditions) console.log(`  ${short(text)}`)
}
const count = (of: Verdict): number => all.filter((verdict) => verdict === of).length
console.log(`${all.length} conditions removed, ${count('noticed')} noticed, ${count('known')} known, ${count('survived')} survived; ` +
  `${beside} beside the decision were left`)
await mutants.end()
await dropLeftovers(databaseUrl, id)
process.exit(count('survived') === 0 ? 0 : 1)
