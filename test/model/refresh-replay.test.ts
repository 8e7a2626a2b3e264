import { readFile } from 'node:fs/promises'
import t from 'tap'
import { rotateSession } from '../../src/sessions/rotation.js'
import { endSession } from '../../src/sessions/statements.js'
import { need } from '../helpers/need.js'
import { replayed, rulesOf, simulate, violatingRun, without, type Step } from './spin.js'
import { standIn } from './stand-in.js'

/*
 * Replays runs of model/refresh.pml against the code: each use of a token is a call of `rotateSession` from the network of its holder, each
 * other end one of `endSession`. The answers must be the model's.
 */

await need('postgres')
await need('spin')
await need('gcc')

const RUNS = 40
/** Only a very busy machine needs so long. */
t.setTimeout(240_000)
const FILE = 'model/refresh.pml'
/** Answer of the model for a token that opens nothing. */
const NOTHING = 255
const LIMITS = { idleSeconds: 3600, pendingSeconds: 0, mostPendingSeconds: 0, sessionSeconds: 3600 }

const { db, requester, reset, query } = await standIn(t)
const { userId, sessionId } = requester.context
const model = await readFile(FILE, 'utf8')

/** Calls the code for each step. @returns the answers to the uses, as the model gives them */
async function replay (steps: readonly Step[]): Promise<number[]> {
  await reset()
  const answers: number[] = []
  for (const { what, of: [holder, generation] } of steps) {
    if (what === 'end') await endSession(db, userId, sessionId, 'session_ended', requester)
    if (what !== 'use') continue
    const presented = { userId, sessionId, generation: generation!, isExpired: false }
    const rotation = await rotateSession(db, presented, LIMITS, { ...requester, network: `198.51.100.${holder}` })
    answers.push(rotation?.rotated === true ? rotation.facts.generation : NOTHING)
  }
  return answers
}

const answersOf = (steps: readonly Step[]) => steps.filter(({ what }) => what === 'used').map(({ of: [answer] }) => answer!)

/** Without the step in which the simulation ended. */
const whole = (steps: readonly Step[]) => steps.at(-1)?.what === 'use' ? steps.slice(0, -1) : steps

t.test('runs of the model by chance have the same answers in the code', async (t) => {
  let uses = 0
  const seen = new Set<number>()
  for (let seed = 1; seed <= RUNS; seed++) {
    const steps = whole(await simulate(model, seed))
    const answers = answersOf(steps)
    t.same(await replay(steps), answers, `seed ${seed}`)
    uses += answers.length
    for (const answer of answers) seen.add(answer)
  }
  t.ok(seen.size > 3, 'tokens of several generations, and refusals')
  t.comment(`${RUNS} runs, ${uses} uses of a token`)
})

t.test('the run that violates a property without a rule is harmless in the code', async (t) => {
  for (const rule of replayed(rulesOf(model), 'only the newest token makes another one')) {
    const steps = await violatingRun(without(model, rule))
    t.ok(steps, rule.name)
    const answers = await replay(steps!)
    // Two answers for one generation, or one of the parent whose child was used, are in none of them.
    const uses = steps!.filter(({ what }) => what === 'use')
      .map(({ of: [, generation] }, n) => ({ generation: generation!, answer: answers[n]! }))
    for (const [n, { generation, answer }] of uses.entries()) {
      if (answer === NOTHING) continue
      t.equal(answer, generation + 1, rule.name)
      const used = uses.slice(0, n).some((earlier) => earlier.generation === answer && earlier.answer !== NOTHING)
      t.notOk(used, `${rule.name}: the next token was not used before`)
    }
    const [row] = await query<{ generation: number }>('select generation from otp_session where id = $1', [sessionId])
    t.equal(row!.generation, Math.max(0, ...answers.filter((answer) => answer !== NOTHING)), `${rule.name}: no generation that nobody got`)
  }
})
