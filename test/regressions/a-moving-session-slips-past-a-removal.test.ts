import pg from 'pg'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { sessionsOf, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const { app, db, anotherHost } = await freshHost(t)

/*
 * A host answers an accepted code with a session of its own, and the row moves there. While the factors are being taken
 * away, the new row was in no snapshot of what ends every session: it lived on, verified, without a device.
 */
t.test('T8 a session that moves waits for who is changing its user\'s factors', async (t) => {
  const ada = await (await signUp(app)).enrol()
  const [session] = await sessionsOf(ada, 1)
  const removing = new pg.Client(db.url)
  await removing.connect()
  t.teardown(() => removing.end())
  const slow = await anotherHost({
    async complete () {
      await removing.query('begin')
      await removing.query('select from otp_user where user_id = $1 for update', [userId(ada)])
      return { sessionId: 'moved', answer: {} }
    }
  })
  const there = session!.elsewhere(slow)
  there.access = session!.access
  const verifying = there.verify()
  await until('the move to wait', async () => (await db.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length === 1)
  await removing.query("update otp_session set ended_at = now(), ended_xid = pg_current_xact_id(), end_reason = 'otp_disabled' where user_id = $1 and ended_at is null", [userId(ada)])
  await removing.query('commit')
  t.equal(outcome(await verifying), '401 SESSION_ENDED')
  t.same(await db.query('select id from otp_session where user_id = $1 and ended_at is null', [userId(ada)]), [])
})
