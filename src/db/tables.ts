import { Kysely, sql, type Dialect, type RawBuilder } from 'kysely'

/*
 * Every primary and unique key that decides something about a second factor begins with the user's id, so that the
 * tables can be distributed by it. Nothing here refers to a table of a host's, nor a host's to ours.
 */

/** One row per user: the lock. Every change of factors, password or standing updates it first and raises `version`. */
export interface OtpUserTable {
  user_id: string
  version: number
  /** Codes spent since the last accepted one. */
  failures: number
  locked_until: Date | null
}

export interface OtpDeviceTable {
  user_id: string
  id: string
  name: string
  /** Sealed. Never leaves the process once the device is confirmed. */
  secret: string
  digits: number
  period_seconds: number
  t0_seconds: number
  /** The last accepted step; nothing up to it is accepted again. */
  last_step: number
  created_at: Date
  /** Null while pending. */
  confirmed_at: Date | null
  last_used_at: Date | null
  /** Pending devices only: the session that made it, which alone can confirm it; until when; wrong codes so far. */
  session_id: string | null
  expires_at: Date | null
  failures: number
}

export interface OtpRecoveryCodeTable {
  user_id: string
  digest: string
  /** The pending device whose confirmation brings the code to life; null if it lives. */
  pending_device_id: string | null
  created_at: Date
  used_at: Date | null
}

export interface OtpSessionTable {
  user_id: string
  id: string
  started_at: Date
  expires_at: Date
  auth_at: Date
  amr: string[]
  otp_required: boolean
  otp_device_id: string | null
  otp_at: Date | null
  /** Refresh generation: raised by each rotation, compared by the next. */
  generation: number
  rotated_at: Date
  /** Wrong codes of a verified session. */
  failures: number
  ended_at: Date | null
  /** The transaction that ended it: what the feed of ends is ordered by. */
  ended_xid: string | null
  end_reason: string | null
  ip: string
  agent: string
}

export interface OtpEventTable {
  user_id: string
  at: Date
  id: string
  kind: string
  session_id: string | null
  ip: string
  agent: string
  device_name: string | null
}

/** Random keys of the deployment, sealed under SEAL_KEYS so that those can rotate. */
export interface OtpKeyTable {
  name: string
  sealed: string
}

/** The service's own users. Not part of what attaches to a host. */
export interface AccountTable {
  id: string
  username: string
  /** `usernameKey(username)`: what is unique and looked up. */
  username_key: string
  password_hash: string
  is_active: boolean
  is_staff: boolean
  email: string
  phone: string
  first_name: string
  last_name: string
  power_account_id: number | null
  power_contact_id: number | null
  created_at: Date
  updated_at: Date
}

/** Networks from which somebody logged in to the account: they have a budget of guesses of their own. */
export interface AccountNetworkTable {
  user_id: string
  network: string
  last_login_at: Date
}

/** Password guesses by name (existing or not) and network; `*` is the whole world. */
export interface PasswordBudgetTable {
  name_digest: string
  network: string
  window_started_at: Date
  spent: number
}

export interface Tables {
  otp_user: OtpUserTable
  otp_device: OtpDeviceTable
  otp_recovery_code: OtpRecoveryCodeTable
  otp_session: OtpSessionTable
  otp_event: OtpEventTable
  otp_key: OtpKeyTable
  account: AccountTable
  account_network: AccountNetworkTable
  password_budget: PasswordBudgetTable
}

const tableNames = [
  'otp_user', 'otp_device', 'otp_recovery_code', 'otp_session', 'otp_event', 'otp_key',
  'account', 'account_network', 'password_budget'
] as const satisfies ReadonlyArray<keyof Tables>

/** Where statements go, and what our tables are called there. */
export interface Db {
  readonly kysely: Kysely<Tables>
  /** The tables' names for `sql` templates, with the schema they live in. */
  readonly table: { readonly [Name in keyof Tables]: RawBuilder<unknown> }
}

/** @param schema where the tables live; the connection's search path by default */
export function createDb (dialect: Dialect, schema?: string): Db {
  const named = (name: string) => schema === undefined ? sql.id(name) : sql.id(schema, name)
  return {
    kysely: new Kysely<Tables>({ dialect }),
    table: Object.fromEntries(tableNames.map((name) => [name, named(name)])) as Db['table']
  }
}

/** The rows of a statement. */
export async function rows<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row[]> {
  return (await statement.execute(db.kysely)).rows
}

/** The only row of a statement that has at most one. */
export async function row<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row | undefined> {
  return (await rows(db, statement))[0]
}
