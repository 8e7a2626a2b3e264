/**
 * What a table of old events costs PostgreSQL: to write, to close, to drop, and to delete event by event.
 *
 *   node build/test/load/events.js [events]      a minute; DATABASE_URL, or PostgreSQL on 127.0.0.1:5432, on this machine
 */
import { sql } from 'kysely'
import { serviceMigrations } from '../../migrations/index.js'
import { tableDays, turnEventTables } from '../../src/cleanup/event-tables.sql.js'
import { cleanUp } from '../../src/cleanup/cleanup.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, row, rows } from '../../src/tables/db.js'
import { cpuUs } from '../bench/cpu.js'
import { emptyDatabase } from '../helpers/database.js'
import { findStores } from '../helpers/stores.js'
import { createOwner } from '../helpers/teardown.js'

const EVENTS_DAYS = 400
const BATCHES = 60
const BATCH_ROWS = 500

const events = Number(process.argv[2] ?? 300_000)
const { databaseUrl } = await findStores(process.env)
if (databaseUrl === undefined) throw new Error('needs PostgreSQL')
const owner = createOwner()
try {
  const pool = openPostgres(await emptyDatabase(owner, databaseUrl), 1, () => {}, 0)
  owner.teardown(() => pool.close())
  await migrateUp(pool.dialect, serviceMigrations)
  const db = createDb(pool.dialect, { hasAccounts: true })
  const walBytes = async () => Number((await row<{ bytes: string }>(db, sql`
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as bytes`))!.bytes)
  const pid = Number((await row<{ pid: string }>(db, sql`select pg_backend_pid()::text as pid`))!.pid)
  const closedBefore = (days: number) => rows(db, sql`update otp_event_table set closed_at = now() - make_interval(days => ${days}::int)`)

  console.log('| step | CPU of PostgreSQL, ms | an event, µs | WAL, an event, bytes |\n| --- | ---: | ---: | ---: |')
  const measure = async (step: string, count: number, work: () => Promise<unknown>) => {
    const [us, bytes] = [await cpuUs(pid), await walBytes()]
    await work()
    const usedUs = await cpuUs(pid) - us
    const figures = [usedUs / 1000, usedUs / count, (await walBytes() - bytes) / count]
    console.log(`| ${step} | ${figures.map((figure) => figure.toFixed(2)).join(' | ')} |`)
  }
  const fill = () => measure('write', events, () => rows(db, sql`
    insert into otp_event_current (user_id, at, id, kind, session_id, ip, agent)
    select md5('user' || n % 100000)::uuid::text, now() - interval '500 days' + n * interval '30 days' / ${events}::int, gen_random_uuid(),
      'otp_verified', gen_random_uuid()::text, '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'
    from generate_series(1, ${events}::int) n`))
  const turn = () => turnEventTables(db, EVENTS_DAYS)

  await fill()
  await rows(db, sql`vacuum analyze otp_event_current`)
  await closedBefore(tableDays(EVENTS_DAYS) + 1)
  await measure('close', events, turn)
  await rows(db, sql`delete from otp_event_table where name = 'otp_event_before'`)
  await closedBefore(EVENTS_DAYS + 1)
  await rows(db, sql`insert into otp_event_table values ('young', now())`)
  await measure('drop', events, turn)
  await turn()
  await measure('nothing to do', events, turn)
  await fill()
  await rows(db, sql`vacuum analyze otp_event_current`)
  await measure('delete', BATCHES * BATCH_ROWS, async () => {
    for (let batch = 0; batch < BATCHES; batch++) await cleanUp(db, EVENTS_DAYS)
  })
  await measure('vacuum', BATCHES * BATCH_ROWS, () => rows(db, sql`vacuum otp_event_current`))
} finally {
  await owner.end()
}
