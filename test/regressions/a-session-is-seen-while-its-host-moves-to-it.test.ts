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
 * A host replaces the session after the code is accepted. A request that named the new session at that moment registered it
 * in a transaction that the session replacement did not see. PostgreSQL refused the second row, and the host got a message
 * about duplicate keys in place of an explanation.
 */

await need('postgres')
const { app, db } = await freshHost(t)

t.test('J5 a session that is seen at that moment counts as seen before, and the verified session goes on', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const from = String(ada.claims()['sid'])
  const adopter = new pg.Client({ connectionString: db.url })
  t.teardown(() => adopter.end())
  await adopter.connect()
  // As each session registration does: the user's lock, then the row.
  await adopter.query('begin')
  await adopter.query('select from otp_user where user_id = $1 for no key update', [userId(ada)])
  await adopter.query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select user_id, 'elsewhere', started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent
    from otp_session where user_id = $1 and id = $2`, [userId(ada), from])
  const moving = moveSession(insideOf(app).db, userId(ada), from, 'elsewhere')
  moving.catch(() => {})
  await until('the move to wait', async () => await countLockWaits(db.query) === 1)
  await adopter.query('commit')
  t.same(await moving, { outcome: 'taken' })
  t.same(
    await db.query('select otp_device_id is not null as "isProven" from otp_session where user_id = $1 and id = $2 and ended_at is null', [
      userId(ada), from
    ]),
    [{ isProven: true }]
  )
  t.same(await db.query("select from otp_session where user_id = $1 and id = 'elsewhere' and otp_device_id is not null", [userId(ada)]), [])
})
