import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { cleanUp } from '../helpers/cleanup.js'
import { signUp } from '../helpers/person.js'

const HOUR = 3600
const DAY = 24 * HOUR

t.test('what is of no use any more goes, what is stays', async (t) => {
  const { app, db, clock } = await freshApp(t)
  const count = async (table: string) => Number((await db.query(`select count(*) as n from ${table}`))[0]!['n'])
  const ada = await signUp(app)
  await ada.enrol()
  const bob = await signUp(app, 'bob')
  await bob.login()
  await bob.create()
  await app.inject({ method: 'POST', url: '/token', payload: { username: 'ada', password: 'not this one' } })

  t.same(
    (await cleanUp(app.database, 400)).rowsByKind,
    { sessions: 0, devices: 0, deliveries: 0, events: 0, marks: 0, budgets: 0, links: 0, mailBudgets: 0, networks: 0 },
    'nothing is old yet'
  )

  await clock.advance(3 * HOUR)
  const codes = await count('otp_recovery_code')
  const pending = await cleanUp(app.database, 400)
  t.same(
    pending.rowsByKind,
    { sessions: 0, devices: 1, deliveries: 0, events: 0, marks: 0, budgets: 4, links: 0, mailBudgets: 0, networks: 0 },
    'an abandoned set-up, the budgets of a wrong password from a known network, and what each first log-in left'
  )
  t.equal(codes - await count('otp_recovery_code'), 5, 'a pending device takes its codes along')
  t.equal(await count('otp_device'), 1, 'a confirmed device stays')

  await clock.advance(8 * DAY)
  const ended = await cleanUp(app.database, 400)
  t.equal(ended.rowsByKind['sessions'], 1, 'the session that ended when the device was confirmed')
  t.equal(await count('otp_session'), 2, 'living ones stay')

  await clock.advance(433 * DAY)
  const events = await count('otp_event')
  const networks = await count('account_network')
  const old = await cleanUp(app.database, 400)
  t.equal(old.rowsByKind['events'], events, 'events of a table that was not dropped as a whole')
  t.equal(old.rowsByKind['sessions'], 2, 'expired sessions')
  t.ok(networks > 0)
  t.equal(old.rowsByKind['networks'], networks, 'known networks that were not used for thirty days')
  t.notOk(old.isMore)
})
