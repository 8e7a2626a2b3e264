import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { moveSession } from '../../src/sessions/registration.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * A host moves to its session after the code was accepted. While another request ended all of the user's sessions, as
 * removing a device does, the move wrote a row that the ending statement could not see any more: a session lived on, on
 * a proof whose device was gone.
 */

await need('postgres')
const { app, db } = await freshHost(t)

async function connected (): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: db.url })
  t.teardown(() => client.end())
  await client.connect()
  return client
}

/** That many statements wait for a lock. */
const waiting = async (count: number) =>
  await until(`${count} to wait`, async () =>
    (await db.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length === count
  )

t.test('T8 J5 a session on its way to another id is among those that end', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [holder, ender] = [await connected(), await connected()]
  await holder.query('select pg_advisory_lock(1)')
  // As every end of all: the user's lock, then one statement, which sees what was there when it began.
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
