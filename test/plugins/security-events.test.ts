import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { buildApp, type Overrides } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import type { SecurityEventNotice } from '../../src/events/notice.js'
import { writeEvent } from '../../src/events/insert.js'
import { inTransaction } from '../../src/tables/transaction.js'
import { freshApp, type App, type Fresh } from '../helpers/app.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { expect, Person, signUp } from '../helpers/person.js'
import { idOf } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const namespace = `test_${randomBytes(6).toString('hex')}`
const shared = await freshApp(t, {}, { namespace })

/** Starts a replica of `fresh` whose host receives events. */
async function listening (
  t: Test, { settings }: Fresh, onSecurityEvent: (event: SecurityEventNotice) => void | Promise<void>, overrides: Overrides = {}
): Promise<App> {
  const app = await buildApp(readConfig(settings), { ...overrides, namespace, onSecurityEvent })
  t.teardown(() => app.close())
  await app.ready()
  return app
}

t.test('E5 each decision of this process is told once it is committed, and none of another\'s', async (t) => {
  const fresh = await emptied(shared)
  const told: SecurityEventNotice[] = []
  const app = await listening(t, fresh, (event) => { told.push(event) })
  const ada = await signUp(fresh.app)
  const here = new Person({ app, username: ada.username, password: ada.password, phone: ada.phone })
  await ada.login()
  expect(200, await here.login())
  expect(401, await here.elsewhere().login('not this one'))
  expect(200, await here.request('PATCH', '/account', { email: 'ada@example.net' }))
  expect(204, await here.request('POST', '/token/revoke'))
  await until('four events', () => told.length === 4)
  t.same(told.map(({ kind }) => kind), ['logged_in', 'login_failed', 'email_changed', 'logged_out'])
  t.match(told[0], {
    userId: idOf(ada), sessionId: here.claims()['sid'], ip: '127.0.0.1', deviceName: null, actorId: null, detail: null, at: Date
  })
  const [written] = await fresh.db.query('select id from otp_event where kind = $1', ['login_failed'])
  t.equal(told[1]?.id, written?.['id'], 'under the id that it has in the log and in the outbox')
})

t.test('what its listener throws is logged and blocks nothing; a listener that never ends blocks nothing', async (t) => {
  const fresh = await emptied(shared)
  let called = 0
  const logged: unknown[] = []
  const app = await listening(t, fresh, (event) => {
    called++
    if (event.kind === 'signed_up') throw new Error('thrown')
    if (called % 2 === 0) return Promise.reject(new Error('rejected'))
    return new Promise(() => {})
  })
  app.log.error = (line: unknown) => { logged.push(line) }
  const ada = await signUp(app)
  for (let i = 0; i < 5; i++) expect(200, await ada.login())
  await until('six calls', () => called === 6)
  await until('what was thrown and what was rejected to be logged', () => logged.length === 4)
  t.match(logged, [{ err: { message: 'thrown' } }, ...Array(3).fill({ err: { message: 'rejected' } })])
})

t.test('50 at once: each event once, none lost', async (t) => {
  const fresh = await emptied(shared)
  const ids: string[] = []
  const app = await listening(t, fresh, ({ id }) => { ids.push(id) }, { hasher: cheapHasher })
  const ada = await signUp(app)
  const logIn = async (i: number) => await app.inject({
    method: 'POST',
    url: '/token',
    remoteAddress: `198.51.100.${i}`,
    payload: { username: ada.username, password: i % 2 === 0 ? ada.password : 'not this one' }
  })
  // A busy machine refuses some with 503. They come again.
  await Promise.all(Array.from({ length: 50 }, (_, i) => until('a judgement', async () => (await logIn(i)).statusCode !== 503)))
  const written = await fresh.db.query<{ id: string }>('select id from otp_event')
  t.ok(written.length >= 51, `${written.length} events`)
  await until('all of them', () => ids.length >= written.length)
  t.same([...ids].sort(), written.map(({ id }) => id).sort())
})

t.test('what was rolled back is told to nobody', async (t) => {
  const fresh = await emptied(shared)
  const told: SecurityEventNotice[] = []
  const app = await listening(t, fresh, (event) => { told.push(event) })
  const { db } = insideOf(app)
  const write = (to: typeof db, userId: string) =>
    writeEvent(to, { userId, kind: 'unlocked', sessionId: null, origin: { ip: '', agent: '' } })
  await t.rejects(inTransaction(db, async (tx) => {
    await write(tx, 'rolled back')
    throw new Error('on second thoughts')
  }))
  await inTransaction(db, async (tx) => { await write(tx, 'committed') })
  await until('the other one', () => told.length > 0)
  t.same(told.map(({ userId }) => userId), ['committed'])
})
