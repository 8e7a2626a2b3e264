import { codeKey } from '../../core/recovery/recovery-codes.js'
import type { Seal, SealedPlace } from '../../core/keys/seal.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { arrayAs, numberAs, timeAs } from '../../tables/values.js'
import { openOrigin, OF_DEPLOYMENT } from '../recovery/candidates.js'
import { devicePlace, otherPlace } from '../totp/verification.js'
import type { FactorsRecord } from './record.js'

/** Users read at once. */
const PAGE_USERS = 500

type OfUsers = Parameters<{ userIds: string[] }>

const selectTotp = statement('export_totp', (db, p: OfUsers) => db.selectFrom('otp_device as d')
  .innerJoin('otp_totp as f', (join) => join.onRef('f.user_id', '=', 'd.user_id').onRef('f.device_id', '=', 'd.id'))
  .select((eb) => [
    'd.user_id as userId', 'd.id', 'd.name', 'f.secret', 'f.other_secret as otherSecret', 'f.algorithm', 'f.digits',
    'f.period_seconds as periodSeconds', 'f.t0_seconds as t0Seconds', 'f.last_step as lastStep',
    timeAs(eb.ref('d.confirmed_at'), 'confirmedAt'), timeAs(eb.ref('f.last_used_at'), 'lastUsedAt')
  ])
  .where('d.user_id', '=', (eb) => eb.fn.any(eb.val(p.userIds))).where('d.confirmed_at', 'is not', null)
  .orderBy('d.created_at').orderBy('d.id'))

const selectPasskeys = statement('export_passkeys', (db, p: OfUsers) => db.selectFrom('otp_device as d')
  .innerJoin('otp_passkey as k', (join) => join.onRef('k.user_id', '=', 'd.user_id').onRef('k.device_id', '=', 'd.id'))
  .innerJoin('otp_user as u', 'u.user_id', 'd.user_id')
  .select((eb) => [
    'd.user_id as userId', 'd.name', 'k.rp_id as rpId', 'k.aaguid', 'k.backup_eligible as backupEligible', 'k.backed_up as backedUp',
    eb.fn<string>('encode', ['k.credential_id', eb.val('hex')]).as('credentialId'),
    eb.fn<string>('encode', ['k.public_key', eb.val('hex')]).as('publicKey'),
    eb.fn<string | null>('encode', ['u.passkey_handle', eb.val('hex')]).as('handle'),
    numberAs(eb.ref('k.sign_count'), 'signCount'), arrayAs(eb.ref('k.transports'), 'transports'),
    timeAs(eb.ref('d.confirmed_at'), 'confirmedAt'), timeAs(eb.ref('k.last_used_at'), 'lastUsedAt')
  ])
  .where('d.user_id', '=', (eb) => eb.fn.any(eb.val(p.userIds))).where('d.confirmed_at', 'is not', null)
  .orderBy('d.created_at').orderBy('d.id'))

const selectCodes = statement('export_codes', (db, p: OfUsers) => db.selectFrom('otp_recovery_code as c')
  .select((eb) => ['c.user_id as userId', 'c.digest', 'c.form', 'c.weak', 'c.origin', timeAs(eb.ref('c.used_at'), 'usedAt')])
  .where('c.user_id', '=', (eb) => eb.fn.any(eb.val(p.userIds))).where('c.pending_device_id', 'is', null).orderBy('c.digest'))

/** The next users, in the order of their ids. */
const selectUsers = statement('export_users', (db, p: Parameters<{ after: string, limit: number }>) => db.selectFrom('otp_user')
  .select('user_id as userId').where('user_id', '>', p.after).orderBy('user_id').limit(p.limit))

export interface ExportDeps { db: Db, seal: Seal, digestKey: () => Promise<Buffer> }

export interface ExportedFactors {
  /** Factors with their secrets, as `importFactors` takes them. */
  record: FactorsRecord
  /** Rows that cannot leave, without any value of them. */
  faults: string[]
}

/** Ids of all users with a row, in pages. */
export async function * exportedUsers (db: Db): AsyncGenerator<string[]> {
  for (let after = ''; ;) {
    const page = (await selectUsers.all(db, { after, limit: PAGE_USERS })).map(({ userId }) => userId)
    if (page.length === 0) return
    yield page
    after = page.at(-1)!
  }
}

function grouped<Row extends { userId: string }> (rows: readonly Row[]): Map<string, Row[]> {
  const found = new Map<string, Row[]>()
  for (const one of rows) found.set(one.userId, [...found.get(one.userId) ?? [], one])
  return found
}
const text = (at: Date | null): string | null => at === null ? null : at.toISOString()
const url = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url')

/**
 * Reads the factors of users as records. Without secrets, a record says which factors there are, and cannot be imported.
 *
 * @param userIds at most some hundreds
 */
export async function readExport (
  { db, seal, digestKey }: ExportDeps, userIds: string[], withSecrets: boolean
): Promise<Map<string, ExportedFactors>> {
  const [totp, passkeys, codes] = [
    grouped(await selectTotp.all(db, { userIds })), grouped(await selectPasskeys.all(db, { userIds })),
    grouped(await selectCodes.all(db, { userIds }))
  ]
  const key = withSecrets ? await digestKey() : null
  return new Map(userIds.map((userId) => {
    const faults: string[] = []
    const record = {
      totp: (totp.get(userId) ?? []).flatMap((device, i) => totpRecord(seal, userId, device, withSecrets) ??
        unopened(faults, i)),
      passkeys: (passkeys.get(userId) ?? []).map(passkeyRecord),
      recoveryCodes: key === null ? [] : codeRecords(seal, key, userId, codes.get(userId) ?? [], faults)
    }
    return [userId, { record: record as FactorsRecord, faults }]
  }))
}

type RowOf<Select> = Select extends { all (...given: never[]): Promise<Array<infer Row>> } ? Row : never

function unopened (faults: string[], i: number): [] {
  faults.push(`device ${i + 1} stays behind: its secret cannot be opened`)
  return []
}

/** Returns null if the secret cannot be opened. */
function totpRecord (
  seal: Seal, userId: string, { id, userId: _, secret, otherSecret, confirmedAt, lastUsedAt, ...facts }: RowOf<typeof selectTotp>,
  withSecrets: boolean
): object | null {
  const record = { ...facts, confirmedAt: text(confirmedAt), lastUsedAt: text(lastUsedAt) }
  if (!withSecrets) return record
  const open = (sealed: string, place: SealedPlace) => ({ hex: seal.open(sealed, place).plain.toString('hex') })
  try {
    const other = otherSecret === null ? {} : { otherSecret: open(otherSecret, otherPlace(userId, { id })) }
    return { secret: open(secret, devicePlace(userId, { id })), ...other, ...record }
  } catch {
    return null
  }
}

function passkeyRecord (
  { userId: _, handle, credentialId, publicKey, confirmedAt, lastUsedAt, ...facts }: RowOf<typeof selectPasskeys>
): object {
  return {
    ...facts,
    credentialId: url(credentialId),
    publicKey: url(publicKey),
    ...(handle === null ? {} : { userHandle: url(handle) }),
    confirmedAt: text(confirmedAt),
    lastUsedAt: text(lastUsedAt)
  }
}

function codeRecords (
  seal: Seal, key: Buffer, userId: string, codes: ReadonlyArray<RowOf<typeof selectCodes>>, faults: string[]
): object[] {
  const unused = codes.filter(({ usedAt }) => usedAt === null)
  const movable = unused.filter(({ form }) => form !== OF_DEPLOYMENT)
  if (movable.length < unused.length) {
    faults.push(`${unused.length - movable.length} recovery codes stay behind: of an older release, whose digests have a key of all users`)
  }
  return movable.flatMap(({ digest, form, weak, origin }) => {
    try {
      const { key: own, userId: theirs } = origin === null ? codeKey(key, userId) : openOrigin(seal, userId, { digest, origin })
      return [{ digest, key: Buffer.from(own).toString('base64url'), userId: theirs, form, weak }]
    } catch {
      faults.push('a recovery code stays behind: its key cannot be opened')
      return []
    }
  })
}
