import { Kysely, sql, type Dialect, type RawBuilder } from 'kysely'
import { valueReader } from './values.js'

/*
 * Every primary and unique key that decides about a second factor begins with the user's id, so that the tables can be
 * distributed by it. No foreign key connects our tables with those of a host.
 */

/** One row per user: the lock. Every change of factors, password or rights updates it first and raises `version`. */
export interface OtpUserTable {
  user_id: string
  version: number
  /** Codes consumed since the last accepted one. */
  failures: number
  locked_until: Date | null
  /** Times of wrong codes of unverified sessions, the oldest first. An accepted code does not clear it. */
  wrong_codes_at: Date[]
  /** Staff reset the factors: the password alone opens nothing until a device is confirmed. */
  setup_required: boolean
  /** Digest and expiry of the one-time code that login requires beside the password then. */
  setup_digest: string | null
  setup_expires_at: Date | null
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
  /** Last accepted step; it and all steps before it are refused. */
  last_step: number
  created_at: Date
  /** Sealed; only while pending. Secret and recovery codes are derived from it, so that each answer of `create` shows the same. */
  seed: string | null
  /** Null while pending. */
  confirmed_at: Date | null
  last_used_at: Date | null
  /** Pending devices only: the session that made it and alone can confirm it, its expiry, and wrong codes so far. */
  session_id: string | null
  expires_at: Date | null
  failures: number
}

export interface OtpRecoveryCodeTable {
  user_id: string
  digest: string
  /** Pending device whose confirmation activates the code; null if the code is active. */
  pending_device_id: string | null
  created_at: Date
  used_at: Date | null
  /** Imported code with few bits, which can be guessed: a guess consumes an attempt. */
  weak: boolean
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
  /** From then on, a session without a device may only set one up. Null where 2FA is optional. */
  otp_deadline: Date | null
  /** Latest time of a proof that was in the future when a host gave it; `auth_at` is when it was first seen. */
  auth_claimed_at: Date | null
  /** Refresh generation: raised by each rotation, compared by the next. */
  generation: number
  rotated_at: Date
  /** Network of the request for that rotation; null if there was none, or if an older release wrote the row. */
  rotated_network: string | null
  /** Newest generation whose parent was presented from another network than that, and the transaction of that request. */
  reused_generation: number | null
  reused_xid: string | null
  /** Wrong codes of a verified session. */
  failures: number
  ended_at: Date | null
  /** Transaction that ended the session; revocations are read in this order. */
  ended_xid: string | null
  end_reason: string | null
  /** Session that replaced it, if a request of its own ended it. */
  replaced_by: string | null
  ip: string
  agent: string
}

/** Digests of the ids of hosts' ended sessions, kept after their rows: a host may present an id at any later time. */
export interface OtpEndedSessionTable {
  user_id: string
  /** SHA-256 of user and session id. Empty for a forgotten user: then sessions with a proof from before `ended_at` have ended. */
  digest: Buffer
  ended_at: Date
}

/** Guesses at passwords that a host checks, by user and network; `*` stands for all networks together. */
export interface OtpPasswordBudgetTable {
  user_id: string
  network: string
  window_started_at: Date
  spent: number
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
  /** User id of the actor, if it was not the user. */
  actor_id: string | null
  detail: string | null
  /** Outbox: time of the next delivery; null if the event is not delivered, or was already. */
  notify_after: Date | null
  notify_attempts: number
  /** Number of events that a line stands for, after the limit of single lines in an hour. Null: one event. */
  count: number | null
}

/** Numbers a user's events of one kind, from the second one in an hour on. */
export interface OtpEventCounterTable {
  user_id: string
  kind: string
  since: Date
  events: number
  /** Key of the line that counts the events after that limit. `line_at` is null, and `line_id` unused, before it. */
  line_at: Date | null
  line_id: string
}

/** Random keys of the deployment, sealed under SEAL_KEYS so that SEAL_KEYS can rotate. */
export interface OtpKeyTable {
  name: string
  sealed: string
  /** Namespace of the sealed values in this schema; null in a row of an earlier version. */
  namespace: string | null
}

/** Users of the service. Not part of the tables of an attached host. */
export interface AccountTable {
  id: string
  username: string
  /** `usernameKey(username)`: unique, and used for look-ups. */
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

/** Account at another service. Its credentials are sealed and never returned. */
export interface AccountOauthProfileTable {
  user_id: string
  id: string
  service_name: string
  url: string
  credentials: string
  created_at: Date
}

/** Policy in force and its start, the same for all replicas. */
export interface AccountPolicyTable {
  name: string
  value: string
  since: Date
}

/** Users imported from Django. The row outlives the account, so that a deleted account is not imported again. */
export interface AccountImportTable {
  django_id: string
  user_id: string
  /** Keyed digest of the data in Django, which shows later changes there. */
  fingerprint: string
  imported_at: Date
}

/** Known networks of an account, whose budget of guesses is separate from that of other networks. */
export interface AccountNetworkTable {
  user_id: string
  network: string
  last_login_at: Date
  /** True if a session was verified there; otherwise the network is known only while the user has no second factor. */
  verified: boolean
}

/** Password guesses by name (existing or not) and network; `*` stands for all unknown networks, `known` for all known ones. */
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
  otp_ended_session: OtpEndedSessionTable
  otp_password_budget: OtpPasswordBudgetTable
  otp_event: OtpEventTable
  otp_event_counter: OtpEventCounterTable
  otp_key: OtpKeyTable
  account: AccountTable
  account_oauth_profile: AccountOauthProfileTable
  account_policy: AccountPolicyTable
  account_import: AccountImportTable
  account_network: AccountNetworkTable
  password_budget: PasswordBudgetTable
}

const tableNames = [
  'otp_user', 'otp_device', 'otp_recovery_code', 'otp_session', 'otp_ended_session', 'otp_password_budget', 'otp_event',
  'otp_event_counter', 'otp_key', 'account', 'account_oauth_profile', 'account_policy', 'account_import', 'account_network',
  'password_budget'
] as const satisfies ReadonlyArray<keyof Tables>

/** Database for statements, with the names of our tables in it. */
export interface Db {
  readonly kysely: Kysely<Tables>
  /** Names of the tables for `sql` templates, with their schema. */
  readonly table: { readonly [Name in keyof Tables]: RawBuilder<unknown> }
  /** True if events are delivered to a receiver: they are put into the outbox as they are written. */
  readonly notifies: boolean
  /** True if the users are in our table `account`; false at a host, which has them in tables of its own. */
  readonly hasAccounts: boolean
  /** Listener for committed events; null if there is none. */
  readonly watch: Watch | null
  /**
   * Closes each connection that was made before this call, at its next use: one of them led to a server that is not the primary.
   * Does nothing for a host's Kysely instance and for the embedded database.
   */
  renew (): void
}

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
  notifies?: boolean
  hasAccounts?: boolean
  renew?: () => void
}

export function createDb (dialect: Dialect, { schema, notifies = false, hasAccounts = false, renew = () => {} }: DbOptions = {}): Db {
  const named = (name: string) => schema === undefined ? sql.id(name) : sql.id(schema, name)
  return {
    kysely: new Kysely<Tables>({ dialect, plugins: [valueReader] }),
    table: Object.fromEntries(tableNames.map((name) => [name, named(name)])) as Db['table'],
    notifies,
    hasAccounts,
    watch: null,
    renew
  }
}

/** Returns the rows of a statement. */
export async function rows<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row[]> {
  if (db.watch === null) return (await statement.execute(db.kysely)).rows
  const compiled = statement.compile(db.kysely)
  let succeeded = false
  try {
    const result = await db.kysely.executeQuery(compiled)
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
