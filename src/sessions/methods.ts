import { expressionBuilder, type Expression } from 'kysely'
import { AgingMap } from '../core/aging-map.js'
import type { SessionContext } from '../core/assurance.js'
import type { OtpMethod } from '../core/refusals.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { textOf, uuidOf, wordsAs } from '../tables/values.js'

/** Change that the statement around makes and cannot see yet. */
export interface MethodChange {
  /** Id of the device that it confirms, together with the recovery codes of that device. */
  confirmed?: string
  /** Id of the device that it removes. */
  removed?: string
  /** True if it consumes one recovery code. */
  consumesCode?: boolean
}

const user = expressionBuilder<Tables>()

/**
 * Methods with which a user can verify, as the column `name`: the kinds of confirmed devices, then recovery codes while there are
 * any. Empty without a device.
 *
 * @param userId null for a user without any
 */
export function methodsOf<Name extends string> (userId: string | null, name: Name, change: MethodChange = {}) {
  if (userId === null) return wordsAs<Name, OtpMethod>(textOf<string>(''), name)
  const { confirmed = null, removed = null, consumesCode = false } = change
  const codes = user.selectFrom('otp_recovery_code as c').where('c.user_id', '=', userId).where('c.used_at', 'is', null)
    .where((eb) => eb.or([
      eb('c.pending_device_id', 'is', null), ...(confirmed === null ? [] : [eb('c.pending_device_id', '=', uuidOf(confirmed))])
    ]))
    .$if(consumesCode, (query) => query.offset(user.lit(1)))
  const methods = user.selectFrom('otp_device as d').where('d.user_id', '=', userId)
    .where((eb) => eb.or([eb('d.confirmed_at', 'is not', null), ...(confirmed === null ? [] : [eb('d.id', '=', uuidOf(confirmed))])]))
    .$if(removed !== null, (query) => query.where('d.id', '<>', uuidOf(removed!)))
    .select((eb) => {
      const when = (condition: Expression<unknown>, method: OtpMethod) =>
        eb.case().when(condition as Expression<boolean>).then(textOf<string>(method)).end()
      const ofKind = (kind: OtpMethod) => when(eb.fn.agg('bool_or', [eb('d.kind', '=', kind)]), kind)
      const hasCodes = eb.and([eb(eb.fn.countAll(), '>', eb.lit(0)), eb.exists(codes)])
      return eb.fn<string>('concat_ws', [
        textOf<string>(' '), ofKind('totp'), ofKind('passkey'), when(hasCodes, 'recovery_code')
      ]).as('methods')
    })
  return wordsAs<Name, OtpMethod>(methods as unknown as Expression<string>, name)
}

const selectMethods = statement('read_methods', (db, p: Parameters<{ userId: string }>) => db.selectNoFrom(methodsOf(p.userId, 'methods')))

/** Returns the methods with which a user can verify; none without a device. */
export async function readMethods (db: Db, userId: string): Promise<OtpMethod[]> {
  return (await selectMethods.first(db, { userId }))!.methods
}

/** Time for which the methods of a session are kept: a refused client that repeats its request costs a statement in 5 to 10 s. */
const KEEP_MS = 5_000
const MOST_KEPT = 10_000

/** Returns the methods of a session's user, at most ten seconds old. */
export type MethodsOf = (context: SessionContext) => Promise<readonly OtpMethod[]>

/** Creates the reader of methods for refusals. Every change of devices ends the sessions that are refused for lack of one. */
export function createMethods (db: Db): MethodsOf {
  const kept = new AgingMap<string, Promise<readonly OtpMethod[]>>({
    keepMs: KEEP_MS, capacity: MOST_KEPT, clockMs: () => performance.now()
  })
  return ({ userId, sessionId, otpDeviceId }) => {
    // A session that is verified in place, at a host that cannot move it, has another device from then on.
    const key = JSON.stringify([userId, sessionId, otpDeviceId])
    const known = kept.get(key)
    if (known !== undefined) return known
    const reading = readMethods(db, userId)
    kept.set(key, reading)
    reading.catch(() => { kept.delete(key) })
    return reading
  }
}
