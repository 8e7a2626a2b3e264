import pg from 'pg'
import type { Test } from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createRevocationPoller } from '../../src/sessions/revocations/revocation-poller.js'
import type { ReadingExchange } from '../../src/sessions/revocations/exchange.js'
import { createDb, type Db } from '../../src/tables/db.js'
import { appDatabase } from './database.js'

export const END = 'update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = $1'
const quiet = () => {}

/** A database of sessions, and revocation pollers on it. */
export async function pollers (t: Test) {
  const { url, query } = await appDatabase(t, 'service')
  const own = openPostgres(url, 2, quiet, 0)
  await migrateUp(own.dialect, serviceMigrations).finally(() => own.close())

  function database (through = url): Db {
    const pool = openPostgres(through, 1, quiet)
    t.teardown(() => pool.close())
    return createDb(pool.dialect)
  }

  function poller (db: Db, exchange: ReadingExchange, seconds: number) {
    const heard: string[] = []
    const made = createRevocationPoller(db, seconds, {
      onEnded: (_userId, sessionId) => { heard.push(sessionId) }, onChanged: quiet, onMark: quiet, onGap: quiet, onOtherServer: quiet
    }, quiet, exchange)
    t.teardown(() => made.stop())
    made.start()
    return { poller: made, heard }
  }

  async function start (...ids: string[]): Promise<void> {
    await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
      select 'ada', id, now(), now() + '1 day', now(), '{pwd}', false, now(), '', '' from unnest($1::text[]) id`, [ids])
  }
  async function end (id: string): Promise<void> {
    await start(id)
    await query(END, [id])
  }
  async function connection (): Promise<pg.Client> {
    const client = new pg.Client(url)
    client.on('error', quiet)
    await client.connect()
    t.teardown(() => client.end())
    return client
  }
  return { url, query, database, poller, start, end, connection }
}
