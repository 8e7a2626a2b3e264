import { Kysely, sql, type CompiledQuery, type Dialect, type QueryResult, type RawBuilder } from 'kysely'
import type { DB } from './schema.js'
import type { Statement } from './statement.js'
import { valueReader } from './values.js'

export type Tables = DB

const tableNames = [
  'otp_user', 'otp_device', 'otp_totp', 'otp_passkey', 'otp_challenge', 'otp_recovery_code', 'otp_session', 'otp_ended_session',
  'otp_revocation', 'otp_password_budget', 'otp_event', 'otp_event_current', 'otp_event_table', 'otp_delivery', 'otp_event_counter',
  'otp_key', 'account', 'account_oauth_profile', 'account_policy', 'signing_key', 'account_import', 'account_network', 'account_link',
  'account_mail_budget', 'account_notice', 'password_budget'
] as const satisfies ReadonlyArray<keyof Tables>

/** Database for statements, with the names of our tables in it. */
export interface Db {
  readonly kysely: Kysely<Tables>
  /** Schema of the tables; undefined for the search path of the connection. */
  readonly schema: string | undefined
  /** Statements that are compiled for this database, each for combinations of the facts below. */
  readonly compiled: WeakMap<Statement<never, unknown>, CompiledQuery[]>
  /** Names of the tables for templates of SQL, with their schema. */
  readonly table: { readonly [Name in keyof Tables]: RawBuilder<unknown> }
  /** Destinations of events, the same list for all copies of a `Db`, or none: each event is put into the outbox once for each. */
  readonly destinations: readonly string[]
  /** True if the users are in our table `account`; false at a host, which has them in tables of its own. */
  readonly hasAccounts: boolean
  /** Listener for committed events; null if there is none. */
  readonly watch: Watch | null
  /** Runs each statement in a span of a trace; null without tracing. */
  readonly trace: TraceStatement | null
  /**
   * Closes each connection that was made before this call, at its next use: one of them led to a server that is not the primary.
   * Does nothing for a host's Kysely instance and for the embedded database.
   */
  renew (): void
}

export type TraceStatement = <T>(name: string, text: string, run: () => Promise<T>) => Promise<T>

/** Learns which events statements wrote, and when they are committed. */
export interface Watch {
  /** Returns an id for an event that a statement may write. */
  newId (): string
  /** Called after the statement with these parameters. Its events are stored if its condition held and it succeeded. */
  ran (parameters: readonly unknown[], succeeded: boolean): void
}

export interface DbOptions {
  /** Schema of the tables. @default the search path of the connection */
  schema?: string
  destinations?: readonly string[]
  hasAccounts?: boolean
  renew?: () => void
  trace?: TraceStatement | null
}

export function createDb (dialect: Dialect, options: DbOptions = {}): Db {
  const { schema, destinations = [], hasAccounts = false, renew = () => {}, trace = null } = options
  const named = (name: string) => schema === undefined ? sql.id(name) : sql.id(schema, name)
  return {
    kysely: new Kysely<Tables>({ dialect, plugins: [valueReader] }),
    schema,
    compiled: new WeakMap(),
    table: Object.fromEntries(tableNames.map((name) => [name, named(name)])) as Db['table'],
    destinations,
    hasAccounts,
    watch: null,
    trace,
    renew
  }
}

/** Executes a compiled statement, in a span if there is tracing. */
export function execute<Row> (db: Db, name: string, query: CompiledQuery<Row>): Promise<QueryResult<Row>> {
  if (db.trace === null) return db.kysely.executeQuery(query)
  return db.trace(name, query.sql, () => db.kysely.executeQuery(query))
}

/** Returns the first word of a statement that has no name. */
const verbOf = (text: string): string => /\w+/.exec(text)?.[0] ?? 'statement'

/** Returns the rows of a statement. */
export async function rows<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row[]> {
  const compiled = statement.compile(db.kysely)
  const name = verbOf(compiled.sql)
  if (db.watch === null) return (await execute(db, name, compiled)).rows
  let succeeded = false
  try {
    const result = await execute(db, name, compiled)
    succeeded = true
    return result.rows
  } finally {
    db.watch.ran(compiled.parameters, succeeded)
  }
}

/** Returns the row of a statement that has at most one. */
export async function row<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row | undefined> {
  return (await rows(db, statement))[0]
}
