import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { moveSession } from '../../src/sessions/registration.js'
import { freshHost } from '../helpers/app.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * A host replaces the session after the code is accepted. While another request ended all of the user's sessions, as the
 * removal of a device does, the session replacement wrote a row that the ending statement did not see: a session stayed
 * alive with the proof of a removed device.
 */

await need('postgres')
const { app, db } = await freshHost(t)

async function connected (): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: db.url })
  t.teardown(() => client.end())
  await client.connect()
  return client
}

/** Waits until `count` statements wait for a lock. */
const waiting = async (count: number) =>
  await until(`${count} to wait`, async () => await countLockWaits(db.query) === count)

t.test('T8 J5 a session whose replacement is under way ends with the others', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [holder, ender] = [await connected(), await connected()]
  await holder.query('select pg_advisory_lock(1)')
  // As each end of all sessions does: the user's lock, then one statement, which sees the rows from before its start.
  await ender.query('begin')
  await ender.query('select from otp_user where user_id = $1 for no key update', [userId(ada)])
  const ending = ender.query(`
    update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id(), end_reason = 'otp_device_removed'
    from (select pg_advisory_xact_lock(1)) held where user_id = $1 and ended_at is null`, [userId(ada)])
  await waiting(1)
  const moving = moveSession(insideOf(app).db, userId(ada), String(ada.claims()['sid']), 'elsewhere')
  await Promise.race([moving, waiting(2)])
  await holder.query('select pg_advisory_unlock(1)')
  await ending
  await ender.query('commit')
  t.same(await moving, { outcome: 'ended' })
  t.same(await db.query('select id from otp_session where user_id = $1 and ended_at is null', [userId(ada)]), [])
})
