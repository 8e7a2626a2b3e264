import t, { type Test } from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createSessions, type Sessions } from '../../src/sessions/liveness.js'
import { createDb } from '../../src/tables/db.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { entries } from '../helpers/redis-entries.js'

/*
 * A replica learned from PostgreSQL that a session had ended, since Redis did not answer, or its readings were late. Then, within the
 * bound, the copy in Redis from before the end answered, and the session was accepted again. Found by a history.
 *
 * The same with the entry of the replica itself, if it learned of the end as it recorded a host's proof that was dated ahead.
 */

await need('postgres')

/** So long that no reading comes by itself: the end is not heard of. */
const REVOCATION_SECONDS = 3_600

/** A session, replicas that know it, and what ends it unheard. */
async function withReplicas (t: Test) {
  const { url, query, clock } = await freshDatabase(t)
  const pool = openPostgres(url, 2, () => {}, 0)
  t.teardown(() => pool.close())
  await migrateUp(pool.dialect, secondFactorMigrations)
  await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select 'ada', 'one', at, at + interval '1 day', at, '{pwd}', false, at, '', '' from clock_timestamp() at`)
  const redis = entries()
  const reach = { isUp: true }
  const db = createDb(pool.dialect)
  const replicas = Array.from({ length: 3 }, () => createSessions({
    db,
    pollerDb: db,
    redis: redis.link(() => reach.isUp),
    namespace: 'again',
    macKeys: [Buffer.alloc(32)],
    readingKeys: [Buffer.alloc(32)],
    revocationSeconds: REVOCATION_SECONDS,
    report () {}
  }))
  for (const sessions of replicas) await sessions.poll()
  // After the time in which copies may be older than the first reading.
  await clock.advance(3)
  for (const sessions of replicas) await sessions.poll()
  const end = async () => {
    await query("update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = 'one'")
  }
  return { replicas, reach, clock, end }
}

t.test('J5 a session that a replica refused is not accepted by it again', async (t) => {
  const { replicas, reach, end } = await withReplicas(t)
  const [one, two, three] = replicas as [Sessions, Sessions, Sessions]
  t.ok(await one.find('ada', 'one', null), 'it lives, and its copy is in Redis')

  await end()
  t.ok(await three.find('ada', 'one', null), 'a replica that has not heard of the end goes by the copy, within the bound')
  reach.isUp = false
  t.equal(await two.find('ada', 'one', null), null, 'PostgreSQL answers')
  reach.isUp = true
  t.equal(await two.find('ada', 'one', null), null, 'and not the copy after that')
  t.equal(two.known('ada', 'one'), undefined)
})

t.test('J5 nor if it learned of the end as it recorded a proof', async (t) => {
  const { replicas: [one], clock, end } = await withReplicas(t)
  t.ok(await one!.find('ada', 'one', null))
  await end()
  t.ok(one!.known('ada', 'one'))
  t.equal(await one!.claimed('ada', 'one', (await clock.now()).getTime() / 1000 + 1), null)
  t.equal(one!.known('ada', 'one'), undefined)
  t.equal(await one!.find('ada', 'one', null), null)
})
