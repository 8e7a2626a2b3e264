import { CompiledQuery, PostgresDialect, type Dialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { asRefusal, breaksConnection } from '../postgres/errors.js'
import { connectInTime, inTime } from '../postgres/in-time.js'
import { beginsTransaction, commandOf, endsTransaction, usePgPool, type Pool, type PgPool } from '../postgres/pool.js'
import { STATEMENT_MS } from '../timing/limits.js'
import type { openPostgres } from '../postgres/server-pool.js'
import { retrying } from '../postgres/retry.js'
import { requirePostgres, type Ask } from '../postgres/server-check.js'
import { createDb, type Db } from './db.js'
import { hostDatabaseFault } from './host-database-fault.js'
import { inItsOwn, readDefaults, WITHOUT_END, type TransactionDefaults } from '../postgres/transaction-defaults.js'
import { asUnusable } from '../postgres/unusable.js'

/** Statement as text, as Kysely's `CompiledQuery` has it. */
interface KyselyQuery { readonly sql: string, readonly parameters: readonly unknown[] }

interface KyselyConnection {
  executeQuery (query: KyselyQuery): Promise<{ readonly rows: unknown[], readonly numAffectedRows?: bigint | undefined }>
}

/**
 * Part of a Kysely instance that is used. A structural type: the classes of two versions are not assignable to each other, although they
 * work together.
 */
export interface KyselyInstance {
  readonly isTransaction: boolean
  getExecutor (): { provideConnection<T> (use: (connection: KyselyConnection) => Promise<T>): Promise<T> }
}

/** Database of a host: a pg Pool, a Kysely instance or an address. Pools and instances of a host are never closed here. */
export type HostDatabase = PgPool | KyselyInstance | string

/** @throws {TypeError} if `database` is not a HostDatabase; the message names it and the value to give instead */
export function requireHostDatabase (database: HostDatabase): void {
  const fault = hostDatabaseFault(database)
  if (fault !== undefined) throw new TypeError(`countersign: "database" must ${fault}`)
}

export interface Opened {
  db: Db
  /** Connection for the revocation poller, separate if possible: all requests wait for its readings. */
  pollerDb: Db
  close (): Promise<void>
}

const CONNECTIONS = 10

/** @throws {TypeError} if `database` is not a HostDatabase */
export async function openHostDatabase (database: HostDatabase, schema: string, report: (error: Error) => void): Promise<Opened> {
  requireHostDatabase(database)
  if (typeof database === 'string') {
    const [pool, pollerPool] = [await openAddress(database, CONNECTIONS, report), await openAddress(database, 1, report)]
    let closed: Promise<unknown> | undefined
    const close = async () => { await (closed ??= Promise.all([pool.close(), pollerPool.close()])) }
    return {
      db: createDb(pool.dialect, { schema, renew: pool.renew }),
      pollerDb: createDb(pollerPool.dialect, { schema, renew: pollerPool.renew }),
      close
    }
  }
  const renewal = isPgPool(database) ? { renew: usePgPool(database).renew } : {}
  const db = createDb(dialectOf(database, STATEMENT_MS), { schema, ...renewal })
  const close = isPgPool(database) ? reportLosses(database, report) : () => {}
  return { db, pollerDb: db, close: async () => { close() } }
}

/** Reports of a pool's losses: one for each registration. */
const reportsOf = new WeakMap<PgPool, Set<(error: Error) => void>>()

/**
 * Reports each idle connection that a host's pool loses. Without a listener, pg ends the process at the first one. The listener stays
 * when the last registration is closed: a pool that is ended afterwards waits for no connection to close.
 *
 * @returns a function that ends the reports
 */
function reportLosses (pool: PgPool, report: (error: Error) => void): () => void {
  let reports = reportsOf.get(pool)
  if (reports === undefined) {
    const made = reports = new Set()
    reportsOf.set(pool, made)
    pool.on?.('error', (error) => { for (const one of made) one(error) })
  }
  reports.add(report)
  return () => { reports.delete(report) }
}

/**
 * Calls `work` with a dialect that is separate from the one for requests: to run or read migrations.
 *
 * @param statementMs 0 for migrations, which wait for each other: no time limit
 * @throws {TypeError} if `database` is not a HostDatabase
 */
export async function withHostDialect<T> (database: HostDatabase, statementMs: number, work: (dialect: Dialect) => Promise<T>): Promise<T> {
  requireHostDatabase(database)
  if (typeof database !== 'string') return await work(dialectOf(database, statementMs))
  const pool = await openAddress(database, 2, () => {}, statementMs)
  return await work(pool.dialect).finally(() => pool.close())
}

/**
 * Checks the server of a host's database.
 *
 * @throws {TypeError} if `database` is not a HostDatabase
 * @throws {UnusableDatabaseError} if it is no supported PostgreSQL, or refuses the connection permanently
 */
export async function requireServer (database: HostDatabase): Promise<void> {
  requireHostDatabase(database)
  if (typeof database === 'string') {
    await (await import('../postgres/server-pool.js')).inspect(database)
    return
  }
  await inTime(lend(database, requirePostgres), STATEMENT_MS, 'Query read timeout').catch((error: unknown) => {
    throw asUnusable(asRefusal(error))
  })
}

/**
 * Checks that a Kysely instance of a host tells how many rows a statement changed, which batches of the cleanup go by. Dialects that do
 * not tell are for tests, and lend one connection to all at once: a statement of the host would run in a transaction of ours.
 *
 * @param table name in SQL of a table of ours
 * @throws {TypeError} if it does not
 */
export async function requireCounts (database: HostDatabase, table: string): Promise<void> {
  if (typeof database === 'string' || isPgPool(database)) return
  const nothing = CompiledQuery.raw(`delete from ${table} where false`)
  const asked = database.getExecutor().provideConnection((connection) => connection.executeQuery(nothing))
  const { numAffectedRows } = await inTime(asked, STATEMENT_MS, 'Query read timeout').catch((error: unknown) => { throw asRefusal(error) })
  if (numAffectedRows === undefined) {
    throw new TypeError('countersign: the dialect of "database" must count changed rows (numAffectedRows), and this one does not')
  }
}

/** Calls `work` with a connection of the host, without any statement before it. */
async function lend<T> (database: Exclude<HostDatabase, string>, work: (ask: Ask) => Promise<T>): Promise<T> {
  if (!isPgPool(database)) {
    return await database.getExecutor().provideConnection(
      (connection) => work((text) => connection.executeQuery(CompiledQuery.raw(text))))
  }
  const client = await connectInTime(database.connect(), STATEMENT_MS)
  let broken = false
  const lost = (): void => { broken = true }
  client.on('error', lost)
  const ask: Ask = async (text) => await client.query({ text, values: [], query_timeout: STATEMENT_MS }) as { rows: unknown[] }
  return await work(ask).finally(() => {
    if (!broken) client.off('error', lost)
    client.release(broken)
  })
}

/** Imports `pg` only for an address: a host with a pool or an instance does not need ours. */
async function openAddress (...given: Parameters<typeof openPostgres>): Promise<Pool> {
  return (await import('../postgres/server-pool.js')).openPostgres(...given)
}

function dialectOf (database: Exclude<HostDatabase, string>, statementMs: number): Dialect {
  return isPgPool(database) ? usePgPool(database, statementMs).dialect : borrow(database, statementMs)
}

const isPgPool = (database: Exclude<HostDatabase, string>): database is PgPool => 'totalCount' in database

/** Makes a dialect of a host's Kysely instance, without its plugins. Its settings stay unchanged; our statements have a time limit. */
function borrow (kysely: KyselyInstance, statementMs: number): Dialect {
  let defaults: TransactionDefaults | undefined
  const take = (deadlineMs: number): Promise<PostgresPoolClient> => new Promise((resolve, reject) => {
    kysely.getExecutor().provideConnection(async (connection) => {
      const { promise: isBack, resolve: release } = deferred()
      defaults ??= await readDefaults((text) => connection.executeQuery(CompiledQuery.raw(text)))
      resolve(clientOf(connection, deadlineMs, defaults, release))
      await isBack
    }).catch(reject)
  })
  const connect = async (): Promise<PostgresPoolClient> => {
    const deadlineMs = statementMs > 0 ? performance.now() + statementMs : Infinity
    const taken = take(deadlineMs)
    return await (statementMs > 0 ? connectInTime(taken, statementMs) : taken).catch((error: unknown) => { throw asRefusal(error) })
  }
  return new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool })
}

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

/** @param deadlineMs Infinity for no limit */
function clientOf (
  connection: KyselyConnection, deadlineMs: number, { begin, areOurs }: TransactionDefaults, release: () => void
): PostgresPoolClient {
  /** An abandoned statement still runs in the database: the connection is not released before its end. */
  let running: Promise<unknown> = Promise.resolve()
  /** True from the sending of BEGIN until the answer of its end: an abandoned BEGIN may still be executed. */
  let inTransaction = false

  function execute (text: string, values: readonly unknown[] = []) {
    if (beginsTransaction(text)) inTransaction = true
    const answer = connection.executeQuery(CompiledQuery.raw(text, [...values]))
    running = answer.then(() => { if (endsTransaction(text)) inTransaction = false }, () => {})
    return deadlineMs < Infinity ? inTime(answer, Math.max(deadlineMs - performance.now(), 200), 'Query read timeout') : answer
  }

  async function alone (text: string, values: readonly unknown[]) {
    if (areOurs) return await execute(text, values)
    return await inItsOwn(begin, execute, () => execute(text, values)).catch(async (error: unknown) => {
      if (!breaksConnection(error)) await execute('rollback')
      throw error
    })
  }

  async function start (text: string) {
    const begun = await execute(text === 'begin' ? begin : text)
    if (deadlineMs === Infinity) for (const setting of WITHOUT_END) await execute(setting)
    return begun
  }

  return {
    async query (text: string, values: readonly unknown[] = []) {
      const answer = beginsTransaction(text) ? start(text) : inTransaction ? execute(text, values) : retrying(() => alone(text, values))
      const { rows, numAffectedRows } = await answer.catch((error: unknown) => { throw asRefusal(error) })
      return { command: commandOf(text), rowCount: Number(numAffectedRows ?? rows.length), rows }
    },
    release () {
      // Kysely rolls back only a transaction whose begin it saw answered. An open one would take in the host's next writes.
      const rolledBack = running.then(() => inTransaction ? connection.executeQuery(CompiledQuery.raw('rollback')) : undefined)
      void rolledBack.catch(() => {}).then(release)
    }
  } as PostgresPoolClient
}
