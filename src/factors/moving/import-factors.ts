import { Type } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { Seal } from '../../core/keys/seal.js'
import { withSingleEvent } from '../../events/insert.js'
import { isOfItsValues } from '../../postgres/errors.js'
import { xidOfChange } from '../../sessions/replacement.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { inTransaction, lockUser, type Tx } from '../../tables/transaction.js'
import { clock, numberAs, unixSeconds, withNow } from '../../tables/values.js'
import { factorRows } from './factors.js'
import { factorFields, faultOf, readFactors, type FactorsRecord } from './record.js'
import type { SecretRecord } from './secrets.js'
import { insertFactors, knownPasskeys, type MovedRows } from './statements.js'

/** Factors of a host's user. A secret may also be its bytes. */
export interface UserFactors extends FactorsRecord {
  /** The host's id of the user. */
  userId: string
}

/** Options of an import of second factors. */
export interface ImportFactorsOptions {
  /** Actor, recorded in the users' events. */
  actorId: string
  /** Does everything and takes it back. @default false */
  rehearse?: boolean
}

/** Result of an import of second factors. */
export interface ImportedFactors {
  /** Users that have a second factor now. */
  brought: number
  /** Users that have or had a confirmed factor here, or were reset by staff: nothing of them changed. */
  skipped: number
  /** Rows that could not come, without any value of them. */
  faults: Array<{ userId: string, reason: string }>
}

export interface ImportFactorsDeps { db: Db, seal: Seal, digestKey: () => Promise<Buffer>, window: number }

const isRecord = new Ajv({ strict: false, unicodeRegExp: true }).compile(Type.Object({
  userId: Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\0\\ud800-\\udfff]+$' }), ...factorFields
}, { additionalProperties: false }))

/**
 * Finds a user whose factors have changed here: one was confirmed, imported, removed or reset. Each change raises the version. A device
 * that was removed may be in other hands. Events do not tell: they are deleted after a time.
 */
const selectDecided = statement('read_decided_factors', (db, p: Parameters<{ userId: string }>) => db.selectFrom('otp_user')
  .select('user_id').where('user_id', '=', p.userId).where('version', '>', 0))

const selectNow = statement('read_now_for_factors', (db) => db.selectNoFrom(numberAs(unixSeconds(clock), 'now')))

class TakenBack extends Error {}

/**
 * Imports second factors of users, one transaction for each. A user who has or had a confirmed factor is skipped, so that no second run
 * brings back what was removed or reset. The living sessions of the others owe a code from then on.
 *
 * @param onChanged called after each commit with the sessions that changed
 */
export async function importFactors (
  { db, seal, digestKey, window }: ImportFactorsDeps,
  records: Iterable<UserFactors> | AsyncIterable<UserFactors>,
  { actorId, rehearse = false }: ImportFactorsOptions,
  onChanged: (userId: string, sessionIds: string[]) => void = () => {}
): Promise<ImportedFactors> {
  if (typeof actorId !== 'string' || actorId === '') throw new TypeError('countersign: importFactors() must take "actorId"')
  const result: ImportedFactors = { brought: 0, skipped: 0, faults: [] }
  const key = await digestKey()
  const seen = new Set<string>()
  for await (const record of records) {
    const userId = typeof record?.userId === 'string' ? record.userId : ''
    const fault = (reason: string) => { result.faults.push({ userId, reason }) }
    if (!isRecord(withTexts(record))) {
      fault(faultOf(isRecord.errors!))
      continue
    }
    if (seen.has(userId)) {
      fault('the user was in an earlier record')
      continue
    }
    seen.add(userId)
    const read = await readFactors(record)
    const { now: nowSeconds } = (await selectNow.first(db))!
    const { notes, ...rows } = factorRows(userId, read.factors, { seal, digestKey: key, window, nowSeconds })
    for (const { reason } of [...read.notes, ...notes]) fault(reason)
    if (rows.devices.length + rows.passkeys.length === 0) {
      if (read.notes.length + notes.length === 0) fault('the record has no confirmed factor')
      continue
    }
    const outcome = await put(db, userId, rows, { actorId, rehearse })
    if (typeof outcome === 'string') {
      if (outcome === 'skipped') result.skipped++
      else fault(outcome)
      continue
    }
    result.brought++
    if (!rehearse) onChanged(userId, outcome.changedIds)
  }
  return result
}

/** Makes a record of the schema: bytes become text, as they are in a file. */
function withTexts (record: UserFactors): unknown {
  const text = (secret: SecretRecord | undefined) => secret instanceof Uint8Array ? { hex: Buffer.from(secret).toString('hex') } : secret
  if (typeof record !== 'object' || record === null || !Array.isArray(record.totp)) return record
  return {
    ...record,
    totp: record.totp.map((device) => typeof device !== 'object' || device === null
      ? device
      : { ...device, secret: text(device.secret), ...(device.otherSecret === undefined ? {} : { otherSecret: text(device.otherSecret) }) })
  }
}

async function put (
  db: Db, userId: string, rows: MovedRows, { actorId, rehearse }: Required<ImportFactorsOptions>
): Promise<'skipped' | 'a passkey is registered here already' | 'the database refuses a value' | { changedIds: string[] }> {
  let result: { changedIds: string[] } | undefined
  try {
    return await inTransaction(db, async (tx) => {
      await lockUser(tx, userId)
      if (await selectDecided.first(tx, { userId }) !== undefined) return 'skipped'
      if ((await knownPasskeys(tx, rows.passkeys)).size > 0) return 'a passkey is registered here already'
      await insertFactors(tx, rows)
      result = { changedIds: await raiseImported(tx, userId, actorId, rows.devices.some(({ weak }) => weak)) }
      if (rehearse) throw new TakenBack()
      return result
    })
  } catch (error) {
    if (error instanceof TakenBack) return result!
    if (isOfItsValues(error)) return 'the database refuses a value'
    throw error
  }
}

const raise = statement('raise_imported', (db, p: Parameters<{ userId: string, actorId: string, detail: string | null }>, facts) => {
  const raised = withNow(db)
    .with('raised', (db) => db.updateTable('otp_user as u')
      .set((eb) => ({ version: eb('u.version', '+', 1), setup_required: false, setup_digest: null, setup_expires_at: null }))
      .where('u.user_id', '=', p.userId))
    .with('changed', (db) => db.updateTable('otp_session as s').from('now')
      .set({ otp_required: true, otp_deadline: null, ended_xid: xidOfChange(facts) })
      .where('s.user_id', '=', p.userId).where('s.ended_at', 'is', null).whereRef('s.expires_at', '>', 'now.at')
      .where('s.otp_device_id', 'is', null).returning('s.id'))
  return withSingleEvent(raised, facts, (db) => db.selectFrom('now'), () => ({
    userId: p.userId, kind: 'imported', sessionId: null, ip: '', agent: '', actorId: p.actorId, detail: p.detail
  })).selectFrom('changed').select('changed.id')
})

/** Raises the user's version, and makes the unverified living sessions owe a code. @returns their ids */
const raiseImported = async (tx: Tx, userId: string, actorId: string, isWeak: boolean): Promise<string[]> =>
  (await raise.all(tx, { userId, actorId, detail: isWeak ? 'weak' : null })).map(({ id }) => id)
