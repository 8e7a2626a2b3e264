import { sql, type Kysely } from 'kysely'
import { rows, type Db, type Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, type Tx } from '../tables/transaction.js'
import { clock, clockOnce, earlier } from '../tables/values.js'
import { BATCH_ROWS, lockCleanup } from './statements.js'

/*
 * `otp_event` is the parent of one table for each month: of `otp_event_current`, which gets the new events, and of those that were
 * it before. A month is dropped as a whole, which costs nothing for each event. The tables have no bounds of time, as partitions
 * would: an event is never refused, wherever the clock is, and no statement has to choose among them.
 */

/** Most tables that events of `eventsDays` are in, not counting the current one. */
const TABLES = 13
/** Longest wait for a lock: statements that write events queue behind it. */
const LOCK_WAIT = '100ms'
const HOUR_SECONDS = 3600
/** A line is counted on a little later than that, by a statement that began before. */
const LATE_SECONDS = 60
const DAY_SECONDS = 24 * HOUR_SECONDS
/** insufficient_privilege */
const FORBIDDEN = '42501'

/** Days after which another table gets the new events: a month of 400 days. Events are kept for so long at most after their time. */
export const tableDays = (eventsDays: number): number => Math.max(1, Math.ceil(eventsDays / TABLES))

export interface Turned {
  /** Name of the table that gets no new events from now on; null if it is not yet time. */
  closed: string | null
  /** Name of the table that was dropped; null if there was none. */
  dropped: string | null
  /** Number of deleted counters of events that were dropped. */
  counters: number
  /** True if there may be more to drop or to delete. */
  isMore: boolean
}

const readTables = statement('event_tables', (db, p: Parameters<{ tableSeconds: number, keptSeconds: number }>) => db
  .selectFrom('otp_event_table as t').select((eb) => [
    't.name',
    eb('t.dropped_at', 'is not', null).as('isDropped'),
    eb('t.closed_at', '>', earlier(clock, eb.cast<number>(eb.val(p.tableSeconds), 'float8'))).as('isYoung'),
    eb.and([
      eb('t.closed_at', '<', earlier(clock, eb.cast<number>(eb.val(p.keptSeconds), 'float8'))),
      eb.not(eb.exists(eb.selectFrom('otp_delivery as d').whereRef('d.event_at', '<=', 't.closed_at')))
    ]).as('isOver')
  ]).orderBy('t.closed_at'))

const waitBriefly = statement('wait_briefly', (db) => db.selectNoFrom((eb) =>
  eb.fn<string>('set_config', [eb.val('lock_timeout'), eb.val(LOCK_WAIT), eb.lit(true)]).as('wait')))

const noteClosed = statement('note_closed', (db, p: Parameters<{ name: string }>) => db.insertInto('otp_event_table')
  .values({ name: p.name, closed_at: clock }))

const noteDropped = statement('note_dropped', (db, p: Parameters<{ name: string }>) => db.updateTable('otp_event_table')
  .set({ dropped_at: clock }).where('name', '=', p.name))

/** Counters are used for an hour, and their events are older than a day. */
const deleteCounters = statement('clean_counters', (db, p: Parameters<{ name: string }>) => db.deleteFrom('otp_event_counter')
  .where((eb) => eb(eb.refTuple('user_id', 'kind'), 'in', eb.selectFrom('otp_event_counter as c').select(['c.user_id', 'c.kind'])
    .where('c.since', '<', (eb) => eb.selectFrom('otp_event_table as t').select('t.closed_at').where('t.name', '=', p.name))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate('c').skipLocked().$asTuple('user_id', 'kind'))))

const forgetTable = statement('forget_event_table', (db, p: Parameters<{ name: string }>) => db.deleteFrom('otp_event_table')
  .where('name', '=', p.name))

/**
 * Gives new events another table after a month, and drops the oldest table once all its events are older than `eventsDays`,
 * unless one of them still waits for delivery. One step of each kind, on one replica at a time.
 *
 * @returns null if another replica cleans up at this moment
 * @throws {Refusal} UNAVAILABLE if a statement reads the tables for so long that the locks are not free in time: try again later
 * @throws an error with the code 42501 if the role may not make or drop the tables
 */
export async function turnEventTables (db: Db, eventsDays: number): Promise<Turned | null> {
  const turned = await inTransaction(db, async (tx) => {
    const { isMine, now } = (await lockCleanup.first(tx))!
    if (!isMine) return null
    const tables = await readTables.all(tx, {
      tableSeconds: tableDays(eventsDays) * DAY_SECONDS, keptSeconds: eventsDays * DAY_SECONDS
    })
    const left = tables.filter(({ isDropped }) => isDropped)[0]?.name
    const over = tables.filter(({ isDropped, isOver }) => isOver && !isDropped).map(({ name }) => name)
    const counters = left === undefined ? 0 : await deleteCounters.changed(tx, { name: left })
    if (left !== undefined && counters < BATCH_ROWS) await forgetTable.changed(tx, { name: left })
    await waitBriefly.first(tx)
    const closed = tables.some(({ isYoung }) => isYoung) ? null : await closeCurrent(tx, now)
    if (over[0] !== undefined) await drop(tx, over[0])
    return { closed, dropped: over[0] ?? null, counters, isMore: counters === BATCH_ROWS || over.length > 0 }
  })
  if (turned?.closed != null) await moveLines(db, turned.closed)
  return turned
}

/** @returns whether the error says that the role may not make or drop the tables */
export const isForbidden = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === FORBIDDEN

/** Commands that give the current table another name, and its own name, owner and rights to a new and empty table. */
const commands = (parent: string, name: string) => sql<{ command: string }>`
  with place as (
    select quote_ident(nspname) as schema, current.relowner, current.relacl
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_class current on current.relnamespace = n.oid and current.relname = 'otp_event_current'
    where c.oid = to_regclass(${parent})
  ), commands as (
    select 1 as step, format('alter table %s.otp_event_current rename to %I', schema, ${name}::text) as command from place
    union all
    select 2, format('create table %1$s.otp_event_current (like %1$s.otp_event including all)', schema) from place
    union all
    select 3, format('alter table %1$s.otp_event_current inherit %1$s.otp_event', schema) from place
    union all
    select 4, format('alter table %s.otp_event_current owner to %I', schema, pg_get_userbyid(relowner)) from place
    union all
    select 5, format('grant %s on %s.otp_event_current to %s%s', privilege_type, schema,
      case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' end)
    from place, aclexplode(relacl) where grantee <> relowner
  )
  select command from commands order by step`

/** @returns the name that the current table has from now on */
async function closeCurrent (tx: Tx, now: Date): Promise<string> {
  const name = `otp_event_until_${now.toISOString().slice(0, 10).replaceAll('-', '_')}`
  const parent = tx.schema === undefined ? 'otp_event' : `"${tx.schema}".otp_event`
  for (const { command } of await rows(tx, commands(parent, name))) await rows(tx, sql.raw(command))
  // Later than any event of the table: no statement that writes one runs now.
  await noteClosed.changed(tx, { name })
  return name
}

async function drop (tx: Tx, name: string): Promise<void> {
  await placeOf(tx).schema.dropTable(name).ifExists().execute()
  await noteDropped.changed(tx, { name })
}

const placeOf = ({ kysely, schema }: Db): Kysely<Tables> => schema === undefined ? kysely : kysely.withSchema(schema)

/**
 * Moves lines that still count events of this hour into the current table. Not in the transaction that closed theirs: an event
 * that is counted meanwhile begins the line again, with the same key, and the two are added up here.
 */
async function moveLines (db: Db, closed: string): Promise<void> {
  await placeOf(db)
    .with('moved', (db) => db.deleteFrom(closed as 'otp_event_current')
      .where('count', 'is not', null).where('at', '>', earlier(clockOnce, HOUR_SECONDS + LATE_SECONDS)).returningAll())
    .insertInto('otp_event_current').expression((eb) => eb.selectFrom('moved').selectAll())
    .onConflict((oc) => oc.columns(['user_id', 'at', 'id'])
      .doUpdateSet((eb) => ({ count: eb('otp_event_current.count', '+', eb.ref('excluded.count')) })))
    .execute()
}
