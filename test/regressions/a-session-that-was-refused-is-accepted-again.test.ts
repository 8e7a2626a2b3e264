import t from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createSessions } from '../../src/sessions/liveness.js'
import { createDb } from '../../src/tables/db.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { entries } from '../helpers/redis-entries.js'

/*
 * A replica learned from PostgreSQL that a session had ended, since Redis did not answer, or its readings were late. Then, within the
 * bound, the copy in Redis from before the end answered, and the session was accepted again. Found by a history.
 */

await need('postgres')

/** So long that no reading comes by itself: the end is not heard of. */
const REVOCATION_SECONDS = 3_600

t.test('J5 a session that a replica refused is not accepted by it again', async (t) => {
  const { url, query, clock } = await freshDatabase(t)
  const pool = openPostgres(url, 2, () => {}, 0)
  t.teardown(() => pool.close())
  await migrateUp(pool.dialect, secondFactorMigrations)
  await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select 'ada', 'one', at, at + interval '1 day', at, '{pwd}', false, at, '', '' from clock_timestamp() at`)
  const redis = entries()
  let isUp = true
  const db = createDb(pool.dialect)
  const replica = () => createSessions({
    db,
    pollerDb: db,
    redis: redis.link(() => isUp),
    namespace: 'again',
    macKeys: [Buffer.alloc(32)],
    readingKeys: [Buffer.alloc(32)],
    revocationSeconds: REVOCATION_SECONDS,
    report () {}
  })
  const [one, two, three] = [replica(), replica(), replica()]
  for (const sessions of [one, two, three]) await sessions.poll()
  // After the time in which copies may be older than the first reading.
  await clock.advance(3)
  for (const sessions of [one, two, three]) await sessions.poll()
  t.ok(await one.find('ada', 'one', null), 'it lives, and its copy is in Redis')

  await query("update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = 'one'")
  t.ok(await three.find('ada', 'one', null), 'a replica that has not heard of the end goes by the copy, within the bound')
  isUp = false
  t.equal(await two.find('ada', 'one', null), null, 'PostgreSQL answers')
  isUp = true
  t.equal(await two.find('ada', 'one', null), null, 'and not the copy after that')
  t.equal(two.known('ada', 'one'), undefined)
})
