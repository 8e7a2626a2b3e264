import { createHash } from 'node:crypto'
import { recordset, type RecordTypes } from '../../tables/recordset.js'
import { statement, type Parameters } from '../../tables/statement.js'
import type { Tx } from '../../tables/transaction.js'
import { clock, unixSeconds } from '../../tables/values.js'

export interface TotpRow {
  userId: string
  id: string
  name: string
  /** Sealed. */
  secret: string
  /** Sealed; null if the secret has one reading. */
  otherSecret: string | null
  otherUntil: Date | null
  weak: boolean
  algorithm: string
  digits: number
  periodSeconds: number
  t0Seconds: number
  /** Null if it is not known: then every step that the source accepts now counts as used. */
  lastStep: number | null
  /** Steps that the source accepts after the one of now. */
  stepsAhead: number
  lastUsedAt: Date | null
  confirmedAt: Date | null
}

export interface PasskeyRow {
  userId: string
  id: string
  name: string
  rpId: string
  /** Hexadecimal, as the next three. */
  credentialId: string
  publicKey: string
  /** User handle; null if it is not known. */
  handle: string | null
  algorithm: number
  signCount: number
  transports: string[]
  aaguid: string
  backupEligible: boolean
  backedUp: boolean
  lastUsedAt: Date | null
  confirmedAt: Date | null
}

export interface CodeRow {
  userId: string
  digest: string
  form: string
  weak: boolean
  /** True for a weak code with a fast digest. */
  fast: boolean
  /** Sealed; null if the digest was made under the key of this deployment. */
  origin: string | null
}

type DeviceRow = Pick<TotpRow, 'userId' | 'id' | 'name' | 'confirmedAt'>

const deviceTypes = {
  userId: 'text', id: 'uuid', name: 'text', confirmedAt: 'timestamptz'
} as const satisfies RecordTypes<DeviceRow>

const totpTypes = {
  userId: 'text',
  id: 'uuid',
  name: 'text',
  secret: 'text',
  otherSecret: 'text',
  otherUntil: 'timestamptz',
  weak: 'boolean',
  algorithm: 'text',
  digits: 'integer',
  periodSeconds: 'integer',
  t0Seconds: 'integer',
  lastStep: 'integer',
  stepsAhead: 'integer',
  lastUsedAt: 'timestamptz',
  confirmedAt: 'timestamptz'
} as const satisfies RecordTypes<TotpRow>

const passkeyTypes = {
  userId: 'text',
  id: 'uuid',
  name: 'text',
  rpId: 'text',
  credentialId: 'text',
  publicKey: 'text',
  handle: 'text',
  algorithm: 'integer',
  signCount: 'bigint',
  transports: 'text[]',
  aaguid: 'uuid',
  backupEligible: 'boolean',
  backedUp: 'boolean',
  lastUsedAt: 'timestamptz',
  confirmedAt: 'timestamptz'
} as const satisfies RecordTypes<PasskeyRow>

const codeTypes = {
  userId: 'text', digest: 'text', form: 'text', weak: 'boolean', fast: 'boolean', origin: 'text'
} as const satisfies RecordTypes<CodeRow>

type Batch = Parameters<{ rows: string }>

const insertDevices = statement('insert_moved_devices', (db, p: Parameters<{ rows: string, kind: string }>) => db.insertInto('otp_device')
  .columns(['user_id', 'id', 'kind', 'name', 'created_at', 'confirmed_at'])
  .expression((eb) => eb.selectFrom(recordset<DeviceRow>(p.rows, deviceTypes)).select((eb) => {
    const confirmedAt = eb.fn.coalesce('r.confirmedAt', clock)
    return ['r.userId', 'r.id', eb.cast(eb.val(p.kind), 'text').as('kind'), 'r.name', confirmedAt.as('at'), confirmedAt.as('confirmed')]
  })))

const insertTotp = statement('insert_moved_totp', (db, p: Batch) => db.insertInto('otp_totp')
  .columns([
    'user_id', 'device_id', 'secret', 'other_secret', 'other_secret_until', 'weak', 'algorithm', 'digits', 'period_seconds', 't0_seconds',
    'last_step', 'last_used_at'
  ])
  .expression((eb) => eb.selectFrom(recordset<TotpRow>(p.rows, totpTypes)).select((eb) => {
    const sinceT0 = eb.parens(eb(unixSeconds(clock), '-', eb.ref('r.t0Seconds')))
    // By the clock at the insert: rows may have waited for another import.
    const latest = eb(eb.fn<number>('floor', [eb(sinceT0, '/', eb.ref('r.periodSeconds'))]), '+', eb.ref('r.stepsAhead'))
    return [
      'r.userId', 'r.id', 'r.secret', 'r.otherSecret', 'r.otherUntil', 'r.weak', 'r.algorithm', 'r.digits', 'r.periodSeconds',
      'r.t0Seconds', eb.fn.coalesce('r.lastStep', eb.cast<number>(eb.fn('greatest', [latest, eb.lit(-1)]), 'integer')).as('lastStep'),
      'r.lastUsedAt'
    ]
  })))

const insertPasskeys = statement('insert_moved_passkeys', (db, p: Batch) => db.insertInto('otp_passkey')
  .columns([
    'user_id', 'device_id', 'rp_id', 'credential_id', 'public_key', 'algorithm', 'sign_count', 'transports', 'aaguid', 'backup_eligible',
    'backed_up', 'last_used_at'
  ])
  .expression((eb) => eb.selectFrom(recordset<PasskeyRow>(p.rows, passkeyTypes)).select((eb) => [
    'r.userId', 'r.id', 'r.rpId', eb.fn('decode', ['r.credentialId', eb.val('hex')]).as('credentialId'),
    eb.fn('decode', ['r.publicKey', eb.val('hex')]).as('publicKey'), 'r.algorithm', 'r.signCount', 'r.transports', 'r.aaguid',
    'r.backupEligible', 'r.backedUp', 'r.lastUsedAt'
  ])))

/** Gives users the handle of the passkeys that came, unless they have one. */
const updateHandles = statement('update_moved_handles', (db, p: Batch) => db.updateTable('otp_user as u')
  .from(recordset<PasskeyRow>(p.rows, passkeyTypes))
  .set((eb) => ({ passkey_handle: eb.fn.coalesce('u.passkey_handle', eb.fn<Buffer>('decode', ['r.handle', eb.val('hex')])) }))
  .whereRef('u.user_id', '=', 'r.userId'))

const insertCodes = statement('insert_moved_codes', (db, p: Batch) => db.insertInto('otp_recovery_code')
  .columns(['user_id', 'digest', 'form', 'weak', 'fast', 'origin', 'created_at'])
  .expression((eb) => eb.selectFrom(recordset<CodeRow>(p.rows, codeTypes))
    .select(['r.userId', 'r.digest', 'r.form', 'r.weak', 'r.fast', 'r.origin', clock.as('at')])))

/** Returns the digests of those credentials that are registered here, by any user. */
const selectCredentials = statement('read_known_credentials', (db, p: Batch) => db
  .selectFrom([recordset<{ digest: string }>(p.rows, { digest: 'text' }), 'otp_passkey as p'])
  .select('r.digest')
  .where((eb) => eb(eb.fn<Buffer>('sha256', ['p.credential_id']), '=', eb.fn<Buffer>('decode', ['r.digest', eb.val('hex')]))))

const credentialDigest = ({ credentialId }: PasskeyRow) => createHash('sha256').update(credentialId, 'hex').digest('hex')

/** Returns those passkeys that are registered here already, or twice in the batch: a credential belongs to one user. */
export async function knownPasskeys (tx: Tx, passkeys: readonly PasskeyRow[]): Promise<Set<PasskeyRow>> {
  if (passkeys.length === 0) return new Set()
  const rows = JSON.stringify(passkeys.map((passkey) => ({ digest: credentialDigest(passkey) })))
  const taken = new Set((await selectCredentials.all(tx, { rows })).map(({ digest }) => digest))
  return new Set(passkeys.filter((passkey) => {
    const digest = credentialDigest(passkey)
    return taken.has(digest) || !taken.add(digest)
  }))
}

export interface MovedRows { devices: TotpRow[], passkeys: PasskeyRow[], codes: CodeRow[] }

/** Only the columns of the table: PostgreSQL reads the whole JSON. */
const deviceRows = (devices: readonly DeviceRow[]): string =>
  JSON.stringify(devices.map(({ userId, id, name, confirmedAt }): DeviceRow => ({ userId, id, name, confirmedAt })))

/** Inserts the factors of users whose rows in `otp_user` exist, and are locked or not visible yet. */
export async function insertFactors (tx: Tx, { devices, passkeys, codes }: MovedRows): Promise<void> {
  if (devices.length > 0) {
    await insertDevices.changed(tx, { rows: deviceRows(devices), kind: 'totp' })
    await insertTotp.changed(tx, { rows: JSON.stringify(devices) })
  }
  if (passkeys.length > 0) {
    const rows = JSON.stringify(passkeys)
    await insertDevices.changed(tx, { rows: deviceRows(passkeys), kind: 'passkey' })
    await insertPasskeys.changed(tx, { rows })
    await updateHandles.changed(tx, { rows })
  }
  if (codes.length > 0) await insertCodes.changed(tx, { rows: JSON.stringify(codes) })
}
