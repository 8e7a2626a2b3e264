import fc from 'fast-check'
import t from 'tap'
import { freshApp } from './helpers/app.js'
import { expect, signUp } from './helpers/person.js'
import { beginnings, step, wellTrodden } from './helpers/state-machine-steps.js'
import { World } from './helpers/state-machine-world.js'

/*
 * Runs random steps in random order, from three sessions of one person, with authenticator apps and passkeys. After each step, compares
 * the service with a model that knows only the proofs of each session. A session is never verified without an accepted code or passkey,
 * neither is accepted twice, and an unconfirmed factor never locks the user out.
 */

/** About ten seconds. A longer search: STATE_MACHINE_RUNS=500 npm test -- test/state-machine.test.ts */
const RUNS = Number(process.env['STATE_MACHINE_RUNS'] ?? 9)
/** A busy machine completes fewer runs. */
const MOST_MS_A_RUN = 4_000
t.setTimeout(RUNS * MOST_MS_A_RUN + 30_000)
const { app, clock } = await freshApp(t)
await clock.freeze()

/** Counts of events over all runs. A property that was never exercised proves nothing. */
const seen: Record<string, number> = {}
let runs = 0

t.test('T2 T7 T9 T11 R2 R4 R6 K1 anything in any order', async (t) => {
  const someSteps = fc.array(step, { minLength: 10, maxLength: 60, size: 'max' })
  const beginning = fc.constantFrom(...Object.keys(beginnings) as Array<keyof typeof beginnings>)
  await fc.assert(fc.asyncProperty(beginning, someSteps, async (from, steps) => {
    const world = new World(await signUp(app, `user${runs++}`), { clock, seen })
    for (const { person } of world.slots) expect(200, await person.login())
    for (const s of [...beginnings[from], ...steps]) {
      await world.take(s)
      await world.check()
    }
    // A user without a confirmed factor can always log in with the password.
    if (world.isEnabled) return
    const last = world.slots[0]!.person.elsewhere()
    expect(200, await last.login())
    expect(200, await last.request('GET', '/account'))
  }), {
    numRuns: RUNS,
    examples: [['both', wellTrodden]],
    interruptAfterTimeLimit: RUNS * MOST_MS_A_RUN,
    markInterruptAsFailure: false,
    endOnFailure: false
  })
  t.comment(`${runs} runs: ${JSON.stringify(seen)}`)
  for (const reached of [
    'verify 200 confirmed', 'verify 200 verified', 'recover 200', 'create 201', 'refresh 200', 'verify 400 OTP_INVALID',
    'create passkey 201', 'confirm passkey 200', 'use passkey 200', 'use passkey 400 PASSKEY_INVALID'
  ]) {
    t.ok((seen[reached] ?? 0) > 0, `${reached}: ${seen[reached] ?? 0} times`)
  }
})
