import { sql, type RawBuilder } from 'kysely'
import type { Origin } from '../../core/session.js'
import { isOfItsValues } from '../../postgres/errors.js'
import { singleEvent } from '../../events/insert.js'
import { now } from '../../tables/values.js'
import { row, rows, type Db } from '../../tables/db.js'
import { inTransaction, type Tx } from '../../tables/transaction.js'
import { numberAs } from '../../tables/values.js'

export interface ImportedDevice {
  id: string
  name: string
  /** Sealed. */
  secret: string
  digits: number
  periodSeconds: number
  t0Seconds: number
  lastStep: number
  lastUsedAt: Date | null
}

export interface ImportedUser {
  id: string
  djangoId: number
  fingerprint: string
  username: string
  usernameKey: string
  passwordHash: string
  isActive: boolean
  isStaff: boolean
  email: string
  phone: string
  firstName: string
  lastName: string
  powerAccountId: number | null
  powerContactId: number | null
  createdAt: Date
  updatedAt: Date
  setupRequired: boolean
  devices: ImportedDevice[]
  /** Digests. */
  codes: string[]
  oauthProfiles: Array<{ id: string, serviceName: string, url: string, credentials: string }>
}

/** Results of one batch, by Django's user id. */
export interface Written {
  brought: Set<number>
  /** Users of an earlier run: `changed` if Django has other data now, `deleted` if the account was deleted here. */
  here: Map<number, 'same' | 'changed' | 'deleted'>
  /** Existing username that collides, in any case. */
  collisions: Map<number, string>
  /** Users with a value that the database refuses; nothing of them was written. */
  refused: Set<number>
}

export type WriteBatch = (users: readonly ImportedUser[]) => Promise<Written>

/** Name of the system in `account_import`. */
const SOURCE = 'django'
/** An import has no address. */
const ORIGIN: Origin = { ip: '', agent: 'command line' }

/** Reverts a rehearsal. */
class TakenBack extends Error {}

/**
 * Imports users, one transaction for each batch, so that a new run continues after a crash. A rehearsal runs the same code
 * in one transaction and reverts it, so that it finds the same faults.
 */
export async function importing<T> (db: Db, isRehearsal: boolean, work: (write: WriteBatch) => Promise<T>): Promise<T> {
  if (!isRehearsal) return await work((users) => withoutRefused((some) => inTransaction(db, (tx) => writeBatch(tx, some)), users))
  let result: { value: T } | undefined
  await db.kysely.transaction().execute(async (kysely) => {
    const tx: Tx = { ...db, kysely, inTransaction: true }
    result = { value: await work((users) => withoutRefused((some) => inSavepoint(tx, () => writeBatch(tx, some)), users)) }
    throw new TakenBack()
  }).catch((error: unknown) => { if (!(error instanceof TakenBack)) throw error })
  return result!.value
}

/** Writes a refused batch in halves down to the refused row, so that one row does not exclude the others. */
async function withoutRefused (write: WriteBatch, users: readonly ImportedUser[]): Promise<Written> {
  try {
    return await write(users)
  } catch (error) {
    if (!isOfItsValues(error)) throw error
    if (users.length === 1) return { brought: new Set(), here: new Map(), collisions: new Map(), refused: new Set([users[0]!.djangoId]) }
  }
  const half = Math.ceil(users.length / 2)
  const [one, other] = [await withoutRefused(write, users.slice(0, half)), await withoutRefused(write, users.slice(half))]
  return {
    brought: new Set([...one.brought, ...other.brought]),
    here: new Map([...one.here, ...other.here]),
    collisions: new Map([...one.collisions, ...other.collisions]),
    refused: new Set([...one.refused, ...other.refused])
  }
}

async function inSavepoint<T> (tx: Tx, work: () => Promise<T>): Promise<T> {
  await sql`savepoint batch`.execute(tx.kysely)
  try {
    return await work()
  } catch (error) {
    await sql`rollback to savepoint batch`.execute(tx.kysely)
    throw error
  }
}

/** Inserts new users only; existing users stay unchanged. Concurrent imports wait for each other. */
async function writeBatch (tx: Tx, users: readonly ImportedUser[]): Promise<Written> {
  const { table } = tx
  await row(tx, sql`select pg_advisory_xact_lock(hashtext('countersign import'))`)
  const known = await rows<{ djangoId: number, fingerprint: string, isThere: boolean }>(tx, sql`
    select ${numberAs(sql`i.external_id::bigint`, 'djangoId')}, i.fingerprint, a.id is not null as "isThere"
    from ${table.account_import} i left join ${table.account} a on a.id::text = i.user_id
    where i.source = ${SOURCE} and i.external_id = any (${users.map(({ djangoId }) => String(djangoId))}::text[])`)
  const byId = new Map(users.map((user) => [user.djangoId, user]))
  const here = new Map(known.map(({ djangoId, fingerprint, isThere }) =>
    [djangoId, !isThere ? 'deleted' as const : fingerprint === byId.get(djangoId)?.fingerprint ? 'same' as const : 'changed' as const]))
  const fresh = users.filter(({ djangoId }) => !here.has(djangoId))
  if (fresh.length === 0) return { brought: new Set(), here, collisions: new Map(), refused: new Set() }

  const made = new Set((await rows<{ id: string }>(tx, sql`
    insert into ${table.account} (id, username, username_key, password_hash, is_active, is_staff, email, phone, first_name, last_name,
      power_account_id, power_contact_id, created_at, updated_at)
    select id, username, "usernameKey", "passwordHash", "isActive", "isStaff", email, phone, "firstName", "lastName",
      "powerAccountId", "powerContactId", "createdAt", "updatedAt"
    from ${recordset(fresh, sql`id uuid, "djangoId" bigint, username text, "usernameKey" text, "passwordHash" text, "isActive" boolean,
      "isStaff" boolean, email text, phone text, "firstName" text, "lastName" text, "powerAccountId" int, "powerContactId" int,
      "createdAt" timestamptz, "updatedAt" timestamptz`)}
    order by "djangoId"
    on conflict (username_key) do nothing
    returning id::text`)).map(({ id }) => id))
  const brought = fresh.filter(({ id }) => made.has(id))
  await writeFactors(tx, brought)
  await row(tx, sql`
    with ${now},
    person as (select * from ${recordset(brought, sql`id text, "djangoId" bigint, fingerprint text, "setupRequired" boolean`)}),
    kept as (insert into ${table.account_import} (source, external_id, user_id, fingerprint, imported_at)
      select ${SOURCE}, "djangoId"::text, id, fingerprint, now.at from person, now),
    context as (insert into ${table.otp_user} (user_id, setup_required) select id, "setupRequired" from person),
    ${singleEvent(tx, {
      userId: sql`person.id`, kind: 'imported', sessionId: null, origin: ORIGIN, actorId: 'command line'
    }, sql`person, now`)}
    select from now`)
  return {
    brought: new Set(brought.map(({ djangoId }) => djangoId)),
    here,
    collisions: await namesakes(tx, fresh.filter(({ id }) => !made.has(id))),
    refused: new Set()
  }
}

async function writeFactors (tx: Tx, users: readonly ImportedUser[]): Promise<void> {
  const { table } = tx
  const each = <T>(of: (user: ImportedUser) => T[]) => users.flatMap((user) => of(user).map((item) => ({ userId: user.id, ...item })))
  const devices = each(({ devices }) => devices)
  if (devices.length > 0) {
    await row(tx, sql`
      with ${now},
      given as (
        select * from ${recordset(devices, sql`"userId" text, id uuid, name text, secret text, digits int, "periodSeconds" int,
          "t0Seconds" int, "lastStep" int, "lastUsedAt" timestamptz`)}
      ),
      device as (
        insert into ${table.otp_device} (user_id, id, name, created_at, confirmed_at)
        select "userId", id, name, now.at, now.at from given, now
      )
      insert into ${table.otp_totp} (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step, last_used_at)
      select "userId", id, secret, digits, "periodSeconds", "t0Seconds", "lastStep", "lastUsedAt" from given`)
  }
  const codes = each(({ codes }) => codes.map((digest) => ({ digest })))
  if (codes.length > 0) {
    await row(tx, sql`
      with ${now}
      insert into ${table.otp_recovery_code} (user_id, digest, created_at, weak)
      select "userId", digest, now.at, true from ${recordset(codes, sql`"userId" text, digest text`)}, now`)
  }
  const oauthProfiles = each(({ oauthProfiles }) => oauthProfiles)
  if (oauthProfiles.length > 0) {
    await row(tx, sql`
      with ${now}
      insert into ${table.account_oauth_profile} (user_id, id, service_name, url, credentials, created_at)
      select "userId", id, "serviceName", url, credentials, now.at
      from ${recordset(oauthProfiles, sql`"userId" text, id uuid, "serviceName" text, url text, credentials text`)}, now`)
  }
}

async function namesakes (tx: Tx, users: readonly ImportedUser[]): Promise<Map<number, string>> {
  if (users.length === 0) return new Map()
  const found = await rows<{ key: string, username: string }>(tx, sql`
    select username_key as key, username from ${tx.table.account}
      where username_key = any (${users.map(({ usernameKey }) => usernameKey)}::text[])`)
  const names = new Map(found.map(({ key, username }) => [key, username]))
  return new Map(users.map(({ djangoId, usernameKey }) => [djangoId, names.get(usernameKey) ?? '']))
}

/** Passes many rows as one parameter. */
function recordset (items: readonly object[], columns: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`jsonb_to_recordset(${JSON.stringify(items)}::jsonb) as r(${columns})`
}
