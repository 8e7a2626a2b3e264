import { Kysely, sql, type Dialect, type RawBuilder } from 'kysely'
import { valueReader } from './values.js'

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
  /** When codes of unverified sessions were wrong, the oldest first. An accepted code does not clear it. */
  wrong_codes_at: Date[]
  /** Staff reset the factors: the password alone opens nothing until a device is confirmed. */
  setup_required: boolean
  /** Of the one-time code that must stand beside the password then, and until when it is good. */
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
  /** The last accepted step; nothing up to it is accepted again. */
  last_step: number
  created_at: Date
  /** Sealed; of a pending factor alone: its recovery codes are derived from it, so that each answer of `create` shows the same. */
  seed: string | null
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
  /** Imported, of so few bits that it can be guessed: a guess costs an attempt. */
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
  /** From when on a session without a device opens only what sets one up; null where 2FA is optional. */
  otp_deadline: Date | null
  /** The latest time of a proof that a host gave while that was still to come: `auth_at` is when it was first seen. */
  auth_claimed_at: Date | null
  /** Refresh generation: raised by each rotation, compared by the next. */
  generation: number
  rotated_at: Date
  /** Network that asked for that rotation; null if there was none, or by an older release. */
  rotated_network: string | null
  /** Newest generation whose parent was presented from another network than that, and the transaction in which it was. */
  reused_generation: number | null
  reused_xid: string | null
  /** Wrong codes of a verified session. */
  failures: number
  ended_at: Date | null
  /** The transaction that ended it: what the feed of ends is ordered by. */
  ended_xid: string | null
  end_reason: string | null
  /** Session that took its place, where its own request ended it. */
  replaced_by: string | null
  ip: string
  agent: string
}

/** Session ids of hosts that have ended, kept after their rows: a host may present them for as long as it likes. */
export interface OtpEndedSessionTable {
  user_id: string
  /** SHA-256 of user and session id; empty for the mark of a forgotten user: sessions with a proof from before `ended_at` have ended. */
  digest: Buffer
  ended_at: Date
}

/** Guesses at passwords that a host checks, by user and network; `*` is all networks together. */
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
  /** Who did it, if not the user. */
  actor_id: string | null
  detail: string | null
  /** The outbox: when somebody outside is to be told (next); null if nobody is, or was. */
  notify_after: Date | null
  notify_attempts: number
  /** Of a line that counts the events past an hour's number: how many it stands for. Null: one event. */
  count: number | null
}

/** Numbers a user's events of one kind, from the second one within an hour on. */
export interface OtpEventCounterTable {
  user_id: string
  kind: string
  since: Date
  events: number
  /** Key of the line that counts the events past the hour's number; null before that. The id means nothing until then. */
  line_at: Date | null
  line_id: string
}

/** Random keys of the deployment, sealed under SEAL_KEYS so that those can rotate. */
export interface OtpKeyTable {
  name: string
  sealed: string
  /** Of what is sealed in this schema; null in a row of an earlier version. */
  namespace: string | null
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

/** An account elsewhere. Its credentials are sealed and never come back out. */
export interface AccountOauthProfileTable {
  user_id: string
  id: string
  service_name: string
  url: string
  credentials: string
  created_at: Date
}

/** Which policy is in force, and since when: all replicas go by it. */
export interface AccountPolicyTable {
  name: string
  value: string
  since: Date
}

/** Who was brought over from Django. Outlives the account, so that nobody who deleted theirs is brought over again. */
export interface AccountImportTable {
  django_id: string
  user_id: string
  /** Keyed digest of what Django had: tells what changed there since. */
  fingerprint: string
  imported_at: Date
}

/** Known networks of an account: they have a budget of guesses apart from that of all others. */
export interface AccountNetworkTable {
  user_id: string
  network: string
  last_login_at: Date
  /** Whether a session was verified there; else the network is known only while the user has no second factor. */
  verified: boolean
}

/** Password guesses by name (existing or not) and network; `*` is all unknown networks together, `known` all known ones. */
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
  'otp_user', 'otp_device', 'otp_recovery_code', 'otp_session', 'otp_ended_session', 'otp_password_budget', 'otp_event', 'otp_event_counter', 'otp_key',
  'account', 'account_oauth_profile', 'account_policy', 'account_import', 'account_network', 'password_budget'
] as const satisfies ReadonlyArray<keyof Tables>

/** Where statements go, and what our tables are called there. */
export interface Db {
  readonly kysely: Kysely<Tables>
  /** The tables' names for `sql` templates, with the schema they live in. */
  readonly table: { readonly [Name in keyof Tables]: RawBuilder<unknown> }
  /** Whether somebody outside is to be told of events: they are put into the outbox as they are written. */
  readonly notifies: boolean
  /** Whether the users are the service's own, in `account`; a host's are elsewhere. */
  readonly hasAccounts: boolean
  /** Whom to tell of events once they are committed; null if nobody listens. */
  readonly watch: Watch | null
  /**
   * Closes each connection that was made before this call, when it is next used: one of them led to a server that is not the primary.
   * Nothing, where connections are not ours to close (a host's Kysely instance, the embedded database).
   */
  renew (): void
}

/** Learns which events statements wrote, and when that is committed. */
export interface Watch {
  /** An id for an event that a statement may write. */
  newId (): string
  /** The statement with these parameters is over: its events stand, if its condition held and it did not fail. */
  ran (parameters: readonly unknown[], succeeded: boolean): void
}

export interface DbOptions {
  /** Where the tables live; the connection's search path by default. */
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

/** The rows of a statement. */
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

/** The only row of a statement that has at most one. */
export async function row<Row> (db: Db, statement: RawBuilder<Row>): Promise<Row | undefined> {
  return (await rows(db, statement))[0]
}
