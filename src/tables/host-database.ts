import { CompiledQuery, PostgresDialect, type DatabaseConnection, type Dialect, type Kysely, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { asRefusal, breaksConnection } from '../postgres/errors.js'
import { connectInTime, inTime } from '../postgres/in-time.js'
import { beginsTransaction, commandOf, endsTransaction, STATEMENT_MS, usePgPool, type Pool, type PgPool } from '../postgres/pool.js'
import type { openPostgres } from '../postgres/server-pool.js'
import { retrying } from '../postgres/retry.js'
import { requirePostgres, type Ask } from '../postgres/server-check.js'
import { createDb, type Db } from './db.js'
import { inItsOwn, readDefaults, WITHOUT_END, type TransactionDefaults } from '../postgres/transaction-defaults.js'
import { asUnusable } from '../postgres/unusable.js'

/** A database that was opened already, with a connection for the feed: the service's. */
export interface OpenedDatabase extends Db {
  readonly feedDb: Db
  /** A sentence while the database cannot be used yet, which its owner has logged; null once it can. */
  readonly fault: () => string | null
}

/** Where a host keeps its data: a pg Pool, a Kysely instance, an address. Pools and instances stay the host's, and are never closed here. */
export type HostDatabase = PgPool | Kysely<any> | string | OpenedDatabase

export interface Opened {
  db: Db
  /** Not behind everybody's statements, where there is a way: everybody waits for the feed. */
  feedDb: Db
  close (): Promise<void>
}

const CONNECTIONS = 10

/** @throws {TypeError} if it is none of those */
export async function openHostDatabase (database: HostDatabase, schema: string, report: (error: Error) => void): Promise<Opened> {
  if (isOpened(database)) return { db: database, feedDb: database.feedDb, close: async () => {} }
  if (typeof database === 'string') {
    const [pool, feedPool] = [await openAddress(database, CONNECTIONS, report), await openAddress(database, 1, report)]
    let closed: Promise<unknown> | undefined
    const close = async () => { await (closed ??= Promise.all([pool.close(), feedPool.close()])) }
    return { db: createDb(pool.dialect, { schema, renew: pool.renew }), feedDb: createDb(feedPool.dialect, { schema, renew: feedPool.renew }), close }
  }
  const db = createDb(dialectOf(database, STATEMENT_MS), { schema, ...('totalCount' in database ? { renew: usePgPool(database).renew } : {}) })
  return { db, feedDb: db, close: async () => {} }
}

/**
 * Beside what is served: for migrations, and to look at them.
 *
 * @param statementMs 0 for migrations, which wait for each other: no statement has an end
 * @throws {TypeError} if it is no database
 */
export async function withHostDialect<T> (database: HostDatabase, statementMs: number, work: (dialect: Dialect) => Promise<T>): Promise<T> {
  if (typeof database !== 'string') return await work(dialectOf(database, statementMs))
  const pool = await openAddress(database, 2, () => {}, statementMs)
  return await work(pool.dialect).finally(() => pool.close())
}

/**
 * Looks at the server behind a host's database.
 *
 * @throws {UnusableDatabaseError} if it is not PostgreSQL, or not one that this can stand on, or refuses the connection for good
 */
export async function requireServer (database: HostDatabase): Promise<void> {
  if (typeof database === 'string') {
    await (await import('../postgres/server-pool.js')).inspect(database)
    return
  }
  await inTime(lend(database, requirePostgres), STATEMENT_MS, 'Query read timeout').catch((error: unknown) => { throw asUnusable(asRefusal(error)) })
}

/** A connection of the host's, as it is: nothing is asked of it before the work does. */
async function lend<T> (database: Exclude<HostDatabase, string>, work: (ask: Ask) => Promise<T>): Promise<T> {
  if (!isPgPool(database)) {
    const kysely = isOpened(database) ? database.kysely : database
    return await kysely.getExecutor().provideConnection((connection) => work((text) => connection.executeQuery(CompiledQuery.raw(text))))
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

/** A host that brings a pool or an instance needs no `pg` of ours. */
async function openAddress (...given: Parameters<typeof openPostgres>): Promise<Pool> {
  return (await import('../postgres/server-pool.js')).openPostgres(...given)
}

function dialectOf (database: Exclude<HostDatabase, string>, statementMs: number): Dialect {
  if (isOpened(database)) return dialectOf(database.kysely, statementMs)
  if ('getExecutor' in database) return borrow(database, statementMs)
  if (isPgPool(database)) return usePgPool(database, statementMs).dialect
  throw new TypeError('countersign: "database" must be a pg Pool, a Kysely instance or an address')
}

const isPgPool = (database: Exclude<HostDatabase, string>): database is PgPool => 'totalCount' in database
const isOpened = (database: HostDatabase): database is OpenedDatabase => typeof database === 'object' && 'feedDb' in database

/** Connections of a host's Kysely, without its plugins. Its settings stay its own; our statements still have an end. */
function borrow (kysely: Kysely<unknown>, statementMs: number): Dialect {
  let defaults: TransactionDefaults | undefined
  const take = (deadlineMs: number): Promise<PostgresPoolClient> => new Promise((resolve, reject) => {
    kysely.getExecutor().provideConnection(async (connection) => {
      const { promise: isBack, resolve: release } = deferred()
      defaults ??= await readDefaults((text) => connection.executeQuery<unknown>(CompiledQuery.raw(text)))
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

/** @param deadlineMs Infinity for no end */
function clientOf (connection: DatabaseConnection, deadlineMs: number, { begin, areOurs }: TransactionDefaults, release: () => void): PostgresPoolClient {
  /** What was given up goes on in the database: nobody else gets the connection before it is over. */
  let running: Promise<unknown> = Promise.resolve()
  /** From the moment a BEGIN is sent until its end is answered: given up, it may still be come to. */
  let inTransaction = false

  function execute (text: string, values: readonly unknown[] = []) {
    if (beginsTransaction(text)) inTransaction = true
    const answer = connection.executeQuery<unknown>(CompiledQuery.raw(text, [...values]))
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
      // Kysely rolls back only what it saw begin. What the host writes next would end with a transaction that nobody ends.
      const rolledBack = running.then(() => inTransaction ? connection.executeQuery(CompiledQuery.raw('rollback')) : undefined)
      void rolledBack.catch(() => {}).then(release)
    }
  } as PostgresPoolClient
}
