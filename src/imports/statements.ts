import type { Origin } from '../core/session.js'
import { withSingleEvent } from '../events/insert.js'
import { recordset, type RecordTypes } from '../tables/recordset.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, textOf, withNow } from '../tables/values.js'

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

export interface OauthRow { userId: string, id: string, serviceName: string, url: string, credentials: string }

const accountTypes = {
  place: 'integer',
  id: 'uuid',
  externalId: 'text',
  fingerprint: 'text',
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
  updatedAt: 'timestamptz',
  setupRequired: 'boolean'
} as const satisfies RecordTypes<AccountRow>

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

/**
 * Inserts accounts whose names are free, the rows beside them and an event for each, and returns their ids. One statement, because
 * PostgreSQL reads the JSON of a page once for each one.
 */
export const insertAccounts = statement('insert_imported', (db, p: Parameters<{ rows: string, source: string }>, facts) => withSingleEvent(
  withNow(db)
    .with('person', (db) => db.selectFrom(recordset<AccountRow>(p.rows, accountTypes)).selectAll('r'))
    .with('made', (db) => db.insertInto('account')
      .columns([
        'id', 'username', 'username_key', 'password_hash', 'is_active', 'is_staff', 'email', 'email_verified_at', 'locale', 'phone',
        'first_name', 'last_name', 'power_account_id', 'power_contact_id', 'created_at', 'updated_at'
      ])
      .expression((eb) => eb.selectFrom('person as r').select([
        'r.id', 'r.username', 'r.usernameKey', 'r.passwordHash', 'r.isActive', 'r.isStaff', 'r.email', 'r.emailVerifiedAt', 'r.locale',
        'r.phone', 'r.firstName', 'r.lastName', 'r.powerAccountId', 'r.powerContactId', 'r.createdAt', 'r.updatedAt'
      ]).orderBy('r.place'))
      .onConflict((oc) => oc.column('username_key').doNothing())
      .returning('account.id'))
    .with('brought', (db) => db.selectFrom('made').innerJoin('person as r', 'r.id', 'made.id')
      .select((eb) => [eb.cast<string>('r.id', 'text').as('userId'), 'r.externalId', 'r.fingerprint', 'r.setupRequired']))
    .with('users', (db) => db.insertInto('otp_user').columns(['user_id', 'setup_required'])
      .expression((eb) => eb.selectFrom('brought as b').select(['b.userId', 'b.setupRequired'])))
    .with('imports', (db) => db.insertInto('account_import')
      .columns(['source', 'external_id', 'user_id', 'fingerprint', 'imported_at'])
      .expression((eb) => eb.selectFrom(['brought as b', 'now']).select([
        textOf(p.source).as('source'), 'b.externalId', 'b.userId', 'b.fingerprint', 'now.at'
      ]))),
  facts, (db) => db.selectFrom(['brought', 'now']), (eb) => ({
    userId: eb.ref('brought.userId'), kind: 'imported', sessionId: null, ...ORIGIN, actorId: 'command line', detail: p.source
  })
).selectFrom('brought').select('brought.userId as id'))

export const insertOauth = statement('insert_imported_oauth_profiles', (db, p: Batch) => db.insertInto('account_oauth_profile')
  .columns(['user_id', 'id', 'service_name', 'url', 'credentials', 'created_at'])
  .expression((eb) => eb.selectFrom(recordset<OauthRow>(p.rows, oauthTypes))
    .select(['r.userId', 'r.id', 'r.serviceName', 'r.url', 'r.credentials', clock.as('at')])))

/** Usernames here, by their keys. */
export const selectNamesakes = statement('read_namesakes', (db, p: Parameters<{ keys: string[] }>) => db
  .selectFrom('account').select(['username_key as key', 'username']).where('username_key', '=', (eb) => eb.fn.any(eb.val(p.keys))))
