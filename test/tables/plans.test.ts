import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { findUsers } from '../../src/staff/users.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { explainAll } from '../helpers/plans.js'
import { putManyUsers } from '../load/many-users.js'
import { differences, plansAt } from '../load/plans-at.js'

const server = await need('postgres')

/** `node build/test/load/plans.js` does the same with a million. */
const FEW = 1_000
const MANY = 10_000
const GROWS = /^Seq Scan (otp_(user|device|totp|session|event_current|recovery_code)|account|account_network|password_budget)$/

t.test('more users change no plan, and no more than the depth of trees', async (t) => {
  const few = await plansAt(t, server, FEW)
  const many = await plansAt(t, server, MANY)
  t.ok(few.plans.size > 40, 'the statements were seen, each as it is planned for what it is given and for anything')
  t.strictSame(differences(few.plans, many.plans), [])
  const whole = [...many.plans].filter(([, { nodes }]) => nodes.some(({ what }) => GROWS.test(what))).map(([statement]) => statement)
  t.strictSame(whole, [], 'nothing reads a whole table of those that grow with the users')
})

t.test('a list of users reads as much as it shows, however many there are', async (t) => {
  const { app, db } = await freshApp(t)
  // Not through the app, whose statements have a time limit of a second.
  const pool = openPostgres(db.url!, 1, () => {}, 0)
  await putManyUsers(createDb(pool.dialect), MANY).finally(() => pool.close())
  for (const [prefix, shown] of [['user-1', 101], ['zoe', 0], ['', 101], ['USER-77@example.org', 1]] as const) {
    const explaining = explainAll()
    t.equal((await findUsers(app.database, prefix, 100, null).finally(explaining.stop))?.users.length, Math.min(shown, 100))
    for (const [how, plans] of [['for this prefix', explaining.plans], ['for any', explaining.generic]] as const) {
      // Revocation readings run meanwhile.
      const [nodes] = [...plans].filter(([text]) => !text.includes('pg_snapshot')).map(([, plan]) => plan.nodes)
      t.ok(nodes![0]!.pages < 8 + 6 * shown,
        `"${prefix}", planned ${how}: ${nodes!.map(({ what, pages }) => `${what} (${pages})`).join(', ')}`)
    }
  }
})

t.test('an accepted code takes two statements, each a commit of its own, which write seven rows', async (t) => {
  const { app } = await freshApp(t)
  const ada = await (await signUp(app, 'ada')).enrol()
  const elsewhere = ada.elsewhere()
  expect(200, await elsewhere.login())
  const code = await elsewhere.nextCode()
  const explaining = explainAll()
  t.teardown(explaining.stop)
  expect(200, await elsewhere.verify(code))
  const written = [...explaining.plans.values()]
    .map(({ nodes }) => nodes.reduce((sum, node) => sum + node.written, 0))
    .filter((rows) => rows > 0)
  t.equal(written.length, 2)
  t.equal(written.reduce((sum, rows) => sum + rows, 0), 7)
})

t.test('a log-in ends nobody where there is room, and reads no session that has ended', async (t) => {
  const { app, db } = await freshApp(t)
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  await db.query(`
    insert into otp_session
      (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ended_at, ended_xid, end_reason, ip, agent)
    select user_id, gen_random_uuid(), started_at, expires_at, auth_at, amr, true, rotated_at, started_at, '3', 'session_evicted', ip, agent
    from otp_session, generate_series(1, 20000) where user_id = $1`, [userId(ada)])
  await db.query('vacuum analyze otp_session')
  const explaining = explainAll()
  t.teardown(explaining.stop)
  expect(200, await ada.login())
  const [start] = [...explaining.plans]
    .filter(([statement]) => statement.includes('session_evicted') || /insert into "?otp_session/.test(statement))
    .map(([, { nodes }]) => nodes)
  const into = (table: string) => start!.filter(({ what }) => what.endsWith(` ${table}`)).reduce((sum, { written }) => sum + written, 0)
  t.equal(into('otp_session'), 1, start!.map(({ what, written }) => `${what} (${written})`).join(', '))
  t.ok(start![0]!.pages < 100, `${start![0]!.pages} pages`)
})
