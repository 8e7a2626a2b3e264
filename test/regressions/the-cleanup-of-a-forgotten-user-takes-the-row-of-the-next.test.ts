import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshHost } from '../helpers/app.js'
import { cleanUp } from '../helpers/cleanup.js'
import { askHost, fromHeaders } from '../helpers/header-host.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'

/*
 * A host may give the id of a forgotten user to another one. The cleanup of the former sessions deleted the row of the lock where the
 * next user had no device and no session by its snapshot: while the first device was being confirmed, which then had no row to count
 * wrong codes in, and after a reset, which an import of factors then undid.
 */

await need('postgres')
const { db, clock, anotherHost } = await freshHost(t)
const app = await anotherHost(fromHeaders)
const EIGHT_DAYS = 8 * 86_400

/** Forgets a user with one session, a time ago that the cleanup waits for. */
async function forgotten (user: string): Promise<void> {
  const at = Math.floor((await clock.now()).getTime() / 1000)
  await askHost(app, { user, session: randomUUID(), at }, 'GET', '/session')
  await app.countersign.forget(user)
  await clock.advance(EIGHT_DAYS)
}
const rowOf = async (user: string) => await db.query('select version from otp_user where user_id = $1', [user])

t.test('a device that is confirmed meanwhile keeps the row', async (t) => {
  await forgotten('ada')
  await db.query("insert into otp_user (user_id) values ('ada')")
  const other = new pg.Client(db.url)
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("update otp_user set version = version + 1 where user_id = 'ada'")
  const cleaned = cleanUp(insideOf(app).db, 400)
  await until('the cleanup to wait', async () => await countLockWaits(db.query) > 0)
  await other.query('commit')
  t.equal((await cleaned).rowsByKind['sessions'], 1)
  t.same(await rowOf('ada'), [{ version: 1 }])
})

t.test('a reset of the next user is not undone', async (t) => {
  await forgotten('bob')
  await app.countersign.reset('bob', { actorId: 'staff', reason: 'lost' })
  t.equal((await cleanUp(insideOf(app).db, 400)).rowsByKind['sessions'], 1)
  const record = { userId: 'bob', totp: [{ secret: Buffer.from('12345678901234567890') }] }
  t.match(await app.countersign.importFactors([record], { actorId: 'migration' }), { brought: 0, skipped: 1 })
})

t.test('the row that a late request left is deleted', async (t) => {
  await forgotten('eve')
  await db.query("insert into otp_user (user_id) values ('eve')")
  await cleanUp(insideOf(app).db, 400)
  t.same(await rowOf('eve'), [])
})
