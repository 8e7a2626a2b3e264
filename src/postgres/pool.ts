import { PostgresDialect, type Dialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import { asRefusal, asUnreachable, breaksConnection, isReadOnly, mayBeOfItsName } from './errors.js'
import { connectInTime } from './in-time.js'
import { connectOneByOne } from './connection-throttle.js'
import type { Prepared } from './prepared-statements.js'
import { STATEMENT_MS } from '../timing/limits.js'
import { retrying } from './retry.js'
import { inItsOwn, OUR_DEFAULTS, readDefaults, WITHOUT_END, type TransactionDefaults } from './transaction-defaults.js'

export const beginsTransaction = (text: string): boolean => /^(begin|start transaction)\b/i.test(text)

/** True for the end of a whole transaction: a rollback to a savepoint is not the end. */
export const endsTransaction = (text: string): boolean => /^(commit|rollback)$/i.test(text)

/** Returns the command of a statement. Kysely counts changed rows by it, and only pg reports it. */
export const commandOf = (text: string): string => /^\s*(insert|update|delete|merge)\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SELECT'

/** Numbers of connections, and of statements that wait for one. */
export interface PoolStats { total: number, idle: number, waiting: number }

export interface Pool {
  dialect: Dialect
  /** Closes each connection that was made before this call, when it is next taken from the pool. */
  renew (): void
  stats (): PoolStats
  /** Closes a pool of our own. A host's pool is never closed here. */
  close (): Promise<void>
}

/** Part of pg's pool that is used, ours or a host's. A structural type: an attached host needs neither `pg` nor its types. */
export interface PgPool {
  connect (): Promise<PgClient>
  on? (event: 'connect', listener: (client: PgClient) => void): unknown
  on? (event: 'error', listener: (error: Error) => void): unknown
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

export interface PgClient {
  query (statement: PgStatement): Promise<unknown>
  on (event: 'error', listener: (error: Error) => void): unknown
  off (event: 'error', listener: (error: Error) => void): unknown
  release (destroy?: boolean): void
}

export interface PgStatement {
  /** Name under which the connection keeps the prepared statement. A named text may have one statement only. */
  name?: string
  text: string
  values: unknown[]
  /** In milliseconds. pg supports it for each statement; its types lack it. */
  query_timeout?: number
}

/** Connections of a pool of our own: they keep prepared statements. */
export interface OwnConnections {
  prepared: Prepared
  /** Those of a pooler that sets no limits. All others have our defaults. */
  defaults: WeakMap<object, TransactionDefaults>
}

/**
 * Makes a dialect of a pg pool, ours or a host's. The settings of a host's pool stay unchanged; our statements have a time limit.
 *
 * @param own only for a pool of our own
 */
export function usePgPool (pool: PgPool, statementMs = STATEMENT_MS, own?: OwnConnections): Omit<Pool, 'close'> {
  const connections = connectionsOf.get(pool) ?? createConnections(pool)
  connectionsOf.set(pool, connections)
  const connectThrottled = connectOneByOne(() => statementMs > 0 ? connectInTime(connections.take(), statementMs) : connections.take())
  const known = new WeakMap<PgClient, LentConnection>()

  function connectionOf (client: PgClient): LentConnection {
    const found = known.get(client)
    if (found !== undefined) return found
    const made = new LentConnection(client, statementMs, connections.renew, own)
    known.set(client, made)
    return made
  }

  const connect = async (): Promise<PostgresPoolClient> => {
    const deadlineMs = performance.now() + statementMs
    const connection = connectionOf(await connectThrottled().catch((error: unknown) => { throw asUnreachable(error) }))
    connection.lend(deadlineMs)
    if (connection.needsDefaults) await connection.readDefaults()
    return connection as unknown as PostgresPoolClient
  }
  return {
    dialect: new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool }),
    renew: connections.renew,
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  }
}

type Answer = PostgresQueryResult<unknown>

/** Connection as Kysely borrows it. It is made once and lent again and again: Kysely keeps an object for each one that it has seen. */
class LentConnection {
  readonly #client: PgClient
  readonly #statementMs: number
  readonly #renew: () => void
  readonly #prepared: Prepared | undefined
  /** Connections of our own got our defaults; those of a host and of a pooler keep theirs. A host's must be read. */
  #defaults: TransactionDefaults | undefined
  #deadlineMs = 0
  #isBroken = false
  #inTransaction = false

  constructor (client: PgClient, statementMs: number, renew: () => void, own: OwnConnections | undefined) {
    this.#client = client
    this.#statementMs = statementMs
    this.#renew = renew
    this.#prepared = own?.prepared
    this.#defaults = own === undefined ? undefined : own.defaults.get(client) ?? OUR_DEFAULTS
  }

  /** The pool does not listen to a connection that is in use: a loss during a statement would end the process. */
  readonly #lost = (): void => { this.#isBroken = true }

  lend (deadlineMs: number): void {
    this.#deadlineMs = deadlineMs
    this.#isBroken = false
    this.#inTransaction = false
    this.#client.on('error', this.#lost)
  }

  get needsDefaults (): boolean { return this.#defaults === undefined }

  /** @throws {Refusal} UNAVAILABLE, after the connection is closed */
  async readDefaults (): Promise<void> {
    this.#defaults = await readDefaults((text) => this.#send(text, [])).catch((error: unknown) => {
      this.#client.release(true)
      throw asRefusal(error)
    })
  }

  async query (text: string, values: readonly unknown[] = []): Promise<Answer> {
    try {
      // A single statement is a whole transaction and is retried after a conflict. Within a transaction, its owner retries.
      if (beginsTransaction(text)) return await this.#start(text)
      return this.#inTransaction ? await this.#query(text, values) : await retrying(() => this.#alone(text, values))
    } catch (error) {
      throw asRefusal(error)
    }
  }

  // A connection whose statement timed out is still busy with it: the pool must not lend it again.
  release (): void {
    if (!this.#isBroken) this.#client.off('error', this.#lost)
    this.#client.release(this.#isBroken)
  }

  async #start (text: string): Promise<Answer> {
    this.#inTransaction = true
    const begun = await this.#send(text === 'begin' ? this.#defaults!.begin : text, [])
    if (this.#statementMs === 0) for (const setting of WITHOUT_END) await this.#send(setting, [])
    return begun
  }

  async #alone (text: string, values: readonly unknown[]): Promise<Answer> {
    const { begin, areOurs } = this.#defaults!
    if (areOurs) return await this.#query(text, values)
    try {
      return await inItsOwn(begin, (text) => this.#send(text, []), () => this.#query(text, values))
    } catch (error) {
      if (!this.#isBroken) await this.#send('rollback', []).catch(this.#lost)
      throw error
    }
  }

  async #query (text: string, values: readonly unknown[]): Promise<Answer> {
    // No names in a transaction: its speed does not matter, and the cleanup would get worse plans with generic values.
    const name = this.#inTransaction ? undefined : this.#prepared?.nameOf(this.#client, text)
    if (name === undefined) return await this.#send(text, values)
    try {
      return await this.#send(text, values, name)
    } catch (error) {
      if (!mayBeOfItsName(error)) throw error
      const result = await this.#send(text, values)
      this.#prepared?.distrust(this.#client)
      return result
    }
  }

  async #send (text: string, values: readonly unknown[], name?: string): Promise<Answer> {
    const statement: PgStatement = { text, values: [...values] }
    if (this.#statementMs > 0) statement.query_timeout = Math.max(this.#deadlineMs - performance.now(), 200)
    if (name !== undefined) statement.name = name
    try {
      return await this.#client.query(statement) as Answer
    } catch (error) {
      if (breaksConnection(error)) this.#isBroken = true
      // The other connections are as old and lead to the same server: the pool would lend them for ever.
      if (isReadOnly(error)) this.#renew()
      throw error
    }
  }
}

interface Connections {
  take (): Promise<PgClient>
  renew (): void
}

/** One for each pool, shared by all registrations on it: a renewal by one holds for all. */
const connectionsOf = new WeakMap<PgPool, Connections>()

/** Tracks the age of a pool's connections, counted in renewals. One that was already open counts as the oldest. */
function createConnections (pool: PgPool): Connections {
  const madeDuring = new WeakMap<PgClient, number>()
  let renewals = 0
  pool.on?.('connect', (client) => { madeDuring.set(client, renewals) })

  function isOutdated (client: PgClient): boolean {
    const made = madeDuring.get(client) ?? (pool.on === undefined ? renewals : 0)
    madeDuring.set(client, made)
    return made < renewals
  }

  return {
    async take () {
      for (;;) {
        const client = await pool.connect()
        if (!isOutdated(client)) return client
        client.release(true)
      }
    },
    renew () { renewals++ }
  }
}
