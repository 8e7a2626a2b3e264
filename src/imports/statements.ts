import type { Origin } from '../core/session.js'
import { withSingleEvent } from '../events/insert.js'
import { recordset, type RecordTypes } from '../tables/recordset.js'
import { statement, type Parameters } from '../tables/statement.js'
import type { Tx } from '../tables/transaction.js'
import { clock, withNow } from '../tables/values.js'

export interface AccountRow {
  /** Order in the source: of two users with one name, the first one comes. */
  place: number
  id: string
  externalId: string
  fingerprint: string
  username: string
  usernameKey: string
  passwordHash: string
  isActive: boolean
  isStaff: boolean
  email: string
  emailVerifiedAt: Date | null
  locale: string | null
  phone: string
  firstName: string
  lastName: string
  powerAccountId: number | null
  powerContactId: number | null
  createdAt: Date
  updatedAt: Date
  setupRequired: boolean
}

type BesideRow = Pick<AccountRow, 'id' | 'externalId' | 'fingerprint' | 'setupRequired'>

export interface OauthRow { userId: string, id: string, serviceName: string, url: string, credentials: string }

const accountTypes = {
  place: 'integer',
  id: 'uuid',
  username: 'text',
  usernameKey: 'text',
  passwordHash: 'text',
  isActive: 'boolean',
  isStaff: 'boolean',
  email: 'text',
  emailVerifiedAt: 'timestamptz',
  locale: 'text',
  phone: 'text',
  firstName: 'text',
  lastName: 'text',
  powerAccountId: 'integer',
  powerContactId: 'integer',
  createdAt: 'timestamptz',
  updatedAt: 'timestamptz'
} as const satisfies RecordTypes<Omit<AccountRow, keyof BesideRow> & Pick<AccountRow, 'id'>>

const besideTypes = {
  id: 'text', externalId: 'text', fingerprint: 'text', setupRequired: 'boolean'
} as const satisfies RecordTypes<BesideRow>

const oauthTypes = {
  userId: 'text', id: 'uuid', serviceName: 'text', url: 'text', credentials: 'text'
} as const satisfies RecordTypes<OauthRow>

/** An import has no address. */
const ORIGIN: Origin = { ip: '', agent: 'command line' }

type Batch = Parameters<{ rows: string }>

/** Makes concurrent imports wait for each other, until the end of the transaction. */
export const lockImports = statement('lock_imports', (db) => db.selectNoFrom((eb) =>
  eb.cast<string>(eb.fn('pg_advisory_xact_lock', [eb.fn('hashtext', [eb.cast(eb.val('countersign import'), 'text')])]), 'text')
    .as('locked')))

/** Users of an earlier run, with the digest of their data then. */
export const selectKnown = statement('read_imported', (db, p: Parameters<{ source: string, externalIds: string[] }>) => db
  .selectFrom('account_import as i')
  .leftJoin('account as a', (join) => join.on((eb) => eb('a.id', '=', eb.cast<string>('i.user_id', 'uuid'))))
  .select((eb) => ['i.external_id as externalId', 'i.fingerprint', eb('a.id', 'is not', null).$castTo<boolean>().as('isThere')])
  .where('i.source', '=', p.source).where('i.external_id', '=', (eb) => eb.fn.any(eb.val(p.externalIds))))

/** Inserts accounts whose names are free, and returns their ids. */
export const insertAccounts = statement('insert_imported_accounts', (db, p: Batch) => db.insertInto('account')
  .columns([
    'id', 'username', 'username_key', 'password_hash', 'is_active', 'is_staff', 'email', 'email_verified_at', 'locale', 'phone',
    'first_name', 'last_name', 'power_account_id', 'power_contact_id', 'created_at', 'updated_at'
  ])
  .expression((eb) => eb.selectFrom(recordset<Omit<AccountRow, keyof BesideRow> & Pick<AccountRow, 'id'>>(p.rows, accountTypes)).select([
    'r.id', 'r.username', 'r.usernameKey', 'r.passwordHash', 'r.isActive', 'r.isStaff', 'r.email', 'r.emailVerifiedAt', 'r.locale',
    'r.phone', 'r.firstName', 'r.lastName', 'r.powerAccountId', 'r.powerContactId', 'r.createdAt', 'r.updatedAt'
  ]).orderBy('r.place'))
  .onConflict((oc) => oc.column('username_key').doNothing())
  .returning('id'))

const insertUsers = statement('insert_imported_users', (db, p: Batch) => db.insertInto('otp_user')
  .columns(['user_id', 'setup_required'])
  .expression((eb) => eb.selectFrom(recordset<BesideRow>(p.rows, besideTypes)).select(['r.id', 'r.setupRequired'])))

const insertImports = statement('insert_imports', (db, p: Parameters<{ rows: string, source: string }>) => db.insertInto('account_import')
  .columns(['source', 'external_id', 'user_id', 'fingerprint', 'imported_at'])
  .expression((eb) => eb.selectFrom(recordset<BesideRow>(p.rows, besideTypes)).select((eb) => [
    eb.cast<string>(eb.val(p.source), 'text').as('source'), 'r.externalId', 'r.id', 'r.fingerprint', clock.as('at')
  ])))

const insertOauth = statement('insert_imported_oauth_profiles', (db, p: Batch) => db.insertInto('account_oauth_profile')
  .columns(['user_id', 'id', 'service_name', 'url', 'credentials', 'created_at'])
  .expression((eb) => eb.selectFrom(recordset<OauthRow>(p.rows, oauthTypes))
    .select(['r.userId', 'r.id', 'r.serviceName', 'r.url', 'r.credentials', clock.as('at')])))

/** Usernames here, by their keys. */
export const selectNamesakes = statement('read_namesakes', (db, p: Parameters<{ keys: string[] }>) => db
  .selectFrom('account').select(['username_key as key', 'username']).where('username_key', '=', (eb) => eb.fn.any(eb.val(p.keys))))

const writeImported = statement('write_imported', (db, p: Parameters<{ rows: string, source: string }>, facts) => withSingleEvent(
  withNow(db), facts, (db) => db.selectFrom([recordset<BesideRow>(p.rows, besideTypes), 'now']), (eb) => ({
    userId: eb.ref('r.id'), kind: 'imported', sessionId: null, ...ORIGIN, actorId: 'command line', detail: p.source
  })
).selectFrom('now'))

/** Inserts the rows beside the accounts, and an event for each user. */
export async function insertBeside (tx: Tx, source: string, accounts: readonly AccountRow[], oauth: readonly OauthRow[]): Promise<void> {
  const rows = JSON.stringify(accounts.map(({ id, externalId, fingerprint, setupRequired }): BesideRow =>
    ({ id, externalId, fingerprint, setupRequired })))
  await insertUsers.changed(tx, { rows })
  await insertImports.changed(tx, { rows, source })
  if (oauth.length > 0) await insertOauth.changed(tx, { rows: JSON.stringify(oauth) })
  await writeImported.all(tx, { rows, source })
}
