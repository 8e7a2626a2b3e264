import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { raiseVersion } from '../../src/accounts/mail/mailbox.js'
import { consumeAttempt } from '../../src/factors/attempt-statements.js'
import { commitVerified } from '../../src/factors/totp/kind.js'
import { endEverySession } from '../../src/sessions/ending.js'
import { inTransaction, lockUser } from '../../src/tables/transaction.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'
import { replayed, rulesOf, simulate, violatingRun, without, type Step } from './spin.js'
import { standIn } from './stand-in.js'

/*
 * Replays runs of model/single-use.pml against the code. Each request is two calls: `consumeAttempt` where the model judges,
 * `commitVerified` where it locks the user's row; the change is a transaction that is open from its lock to its effect. A statement whose
 * snapshot is older than the change is sent before the change commits, and waits for its lock, as in the model.
 */

await need('postgres')
await need('spin')
await need('gcc')

const RUNS = 60
/** Only a very busy machine needs so long. */
t.setTimeout(240_000)
/** The model has two attempts, to have few states; with the code's five its four requests are all judged, as here. */
const model = (await readFile('model/single-use.pml', 'utf8')).replace('#define BUDGET 2', '#define BUDGET 5')
/** The budget alone needs more than five wrong codes: test/promises/guesses-are-bounded.test.ts. */
const OF_BUDGET = ['an attempt is consumed within the budget alone', 'an attempt is consumed before its code is judged']
const LIFETIMES = { sessionSeconds: 3600, pendingSeconds: 300 }

const { db, requester, deviceId, reset, query } = await standIn(t)
const { userId } = requester.context

interface Request { step: number, version: number, isAlive: boolean, granting?: Promise<boolean> }

/** Sends the second statement of a request. */
const grant = async ({ step, version }: Request): Promise<boolean> =>
  await commitVerified(db, requester, { deviceId, step, resealed: null, version }, randomUUID(), LIFETIMES) !== null

/** A change of the factors, or of the session, in an open transaction that has the user's lock. */
async function openChange () {
  let commit = (_what: string): void => {}
  const decided = new Promise<string>((resolve) => { commit = resolve })
  let locked = (): void => {}
  const isLocked = new Promise<void>((resolve) => { locked = resolve })
  const done = inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    locked()
    if (await decided === 'version') await raiseVersion(tx, userId)
    else await endEverySession(tx, userId, 'session_ended')
  })
  await isLocked
  return async (what: string) => { commit(what); await done }
}

const waiting = async (): Promise<number> => (await query(
  "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and state = 'active'"
)).length

interface Replayed { granted: Map<number, boolean>, lastStep: number, old: number }

async function replay (steps: readonly Step[]): Promise<Replayed> {
  await reset()
  const requests = new Map<number, Request>()
  const granted = new Map<number, boolean>()
  let commit: ((what: string) => Promise<void>) | null = null
  let old = 0
  const send = async (me: number, before: number): Promise<void> => {
    const request = requests.get(me)!
    request.granting = grant(request)
    await until('the statement to wait for the lock', async () => await waiting() > before)
  }
  for (const [at, { what, of: [me = 0, step = 0] }] of steps.entries()) {
    if (what === 'judge') {
      const { version, alive } = await consumeAttempt(db, requester)
      requests.set(me, { step, version, isAlive: alive })
    } else if (what === 'change') commit = await openChange()
    else if (what === 'version' || what === 'ended') {
      for (const [n, one] of withOldSnapshot(steps, at).entries()) {
        await send(one, n)
        old++
      }
      await commit!(what)
      commit = null
    } else if (what === 'lock') {
      // Without the rule of the lock, the model goes on during a change. PostgreSQL makes it wait.
      if (commit !== null) await send(me, 0)
      else granted.set(me, await (requests.get(me)!.granting ?? grant(requests.get(me)!)))
    }
  }
  await commit?.('version')
  for (const [me, { granting }] of requests) if (granting !== undefined && !granted.has(me)) granted.set(me, await granting)
  const [row] = await query<{ last_step: string }>('select last_step from otp_totp')
  return { granted, lastStep: Number(row!.last_step), old }
}

/** Requests whose snapshot was taken before a change and whose lock comes after it, before that of any other. */
function withOldSnapshot (steps: readonly Step[], change: number): number[] {
  const taken = new Set(steps.slice(0, change).filter(({ what }) => what === 'snapshot').map(({ of: [me] }) => me!))
  const found: number[] = []
  for (const { what, of: [me] } of steps.slice(change)) {
    if (what !== 'lock') continue
    if (!taken.has(me!)) return found
    found.push(me!)
  }
  return found
}

const resultsOf = (steps: readonly Step[]) => new Map(steps.filter(({ what }) => what === 'result')
  .map(({ of: [me, is] }) => [me!, is === 1]))

t.test('runs of the model by chance have the same results in the code', async (t) => {
  let [grants, refusals, old] = [0, 0, 0]
  for (let seed = 1; seed <= RUNS; seed++) {
    const steps = await simulate(model, seed)
    const expected = resultsOf(steps)
    const replayed = await replay(steps)
    t.same([...replayed.granted].sort(), [...expected].sort(), `seed ${seed}`)
    old += replayed.old
    for (const is of expected.values()) is ? grants++ : refusals++
  }
  t.ok(grants > 10 && refusals > 10 && old > 0, `${grants} accepted, ${refusals} refused, ${old} old snapshots`)
  t.comment(`${RUNS} runs, ${grants} accepted, ${refusals} refused, ${old} snapshots that are older than a change`)
})

const grantsOf = (steps: readonly Step[]): number => [...resultsOf(steps).values()].filter(Boolean).length

t.test('the run that violates a property without a rule is harmless in the code', async (t) => {
  const rules = rulesOf(model).filter(({ name }) => !OF_BUDGET.includes(name))
  for (const rule of replayed(rules, "the user's row is locked first")) {
    const steps = await violatingRun(without(model, rule))
    t.ok(steps, rule.name)
    const { granted, lastStep } = await replay(steps!)
    const stepOf = new Map(steps!.filter(({ what }) => what === 'judge').map(({ of: [me, step] }) => [me!, step!]))
    const accepted = [...granted].filter(([, is]) => is).map(([me]) => stepOf.get(me)!)
    t.same(accepted, [...new Set(accepted)].sort(), `${rule.name}: each step once, and they rise`)
    t.equal(lastStep, Math.max(0, ...accepted), rule.name)
    t.ok(accepted.length < grantsOf(steps!), `${rule.name}: fewer are accepted than without the rule`)
  }
})
