import pg from 'pg'
import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * A waiting log-in was refused when the log-in before it met a locked row. A transaction that locked a user and then hung
 * kept that user out for ever. And giving a guess back locked its two rows in the opposite order from consuming it.
 */

await need('postgres')
const { app, db } = await freshApp(t)

t.test('O3 one user is locked: that user gets 503, all others log in', async (t) => {
  const ada = await signUp(app)
  expect(200, await ada.login())
  const others = await Promise.all(Array.from({ length: 20 }, (_, i) => signUp(app, `other${i}`)))
  const holder = new pg.Client({ connectionString: db.url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin')
  await holder.query('select from otp_user where user_id = $1 for update', [userId(ada)])
  const [hers, theirs] = await Promise.all([
    Promise.all(Array.from({ length: 4 }, () => ada.elsewhere().login())),
    Promise.all(others.map((other) => other.login()))
  ])
  await holder.query('commit')
  t.same(countOutcomes(hers), { '503 UNAVAILABLE': 4 })
  t.same(countOutcomes(theirs), { 200: 20 })
})

t.test('O3 a client that stops in the middle of a change does not keep the user out', async () => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  let isStuck = () => {}
  const stuck = new Promise<void>((resolve) => { isStuck = resolve })
  const holding = app.database.kysely.transaction().execute(async (tx) => {
    await tx.updateTable('otp_user').set({ failures: 0 }).where('user_id', '=', userId(bob)).execute()
    await stuck
  }).catch(() => {})
  await until('bob to be let in', async () => (await bob.elsewhere().login()).statusCode === 200, 15_000)
  isStuck()
  await holding
})

t.test('P4 guesses consumed and given back at once: no deadlock', async (t) => {
  const cy = await signUp(app, 'cy')
  await sessionsOf(cy, 20)
  const deadlocks = async () =>
    (await db.query<{ deadlocks: string }>('select deadlocks from pg_stat_database where datname = current_database()'))[0]!.deadlocks
  const before = await deadlocks()
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? cy.elsewhere().login('wrong') : cy.elsewhere().login()))
  )
  t.ok(
    answers.every((answer) => ['200', '401 CREDENTIALS_INVALID', '429 RATE_LIMITED'].includes(outcome(answer))),
    JSON.stringify(countOutcomes(answers))
  )
  const after = await deadlocks()
  t.equal(after, before)
})
