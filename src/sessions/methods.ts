import { sql } from 'kysely'
import { AgingMap } from '../core/aging-map.js'
import type { SessionContext } from '../core/assurance.js'
import type { OtpMethod } from '../core/refusals.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs } from '../tables/values.js'

/** Change that the statement around makes and cannot see yet. */
export interface MethodChange {
  /** Id of the device that it confirms, together with the recovery codes of that device. */
  confirmed?: string
  /** Id of the device that it removes. */
  removed?: string
  /** True if it consumes one recovery code. */
  consumesCode?: boolean
}

/**
 * Methods with which a user can verify, as the column `name`: the kinds of confirmed devices, then recovery codes while there are
 * any. Empty without a device.
 */
export const methodsOf = <Name extends string>({ table }: Db, userId: string, name: Name, change: MethodChange = {}) => {
  const { confirmed = null, removed = null, consumesCode = false } = change
  return jsonAs<Name, OtpMethod[]>(sql<OtpMethod[]>`(
    with kinds as (
      select d.kind as method, case d.kind when 'totp' then 1 else 2 end as place
      from ${table.otp_device} d
      where d.user_id = ${userId} and (d.confirmed_at is not null or d.id = ${confirmed}::uuid)
        and d.id is distinct from ${removed}::uuid
      group by d.kind
    )
    select coalesce(json_agg(m.method order by m.place), '[]'::json) from (
      select method, place from kinds
      union all
      select 'recovery_code', 3 where exists (select from kinds) and exists (select from ${table.otp_recovery_code} c
        where c.user_id = ${userId} and c.used_at is null
          and (c.pending_device_id is null or c.pending_device_id = ${confirmed}::uuid)
        offset ${consumesCode ? 1 : 0})
    ) m)`, name)
}

/** Returns the methods with which a user can verify; none without a device. */
export async function readMethods (db: Db, userId: string): Promise<OtpMethod[]> {
  return (await row<{ methods: OtpMethod[] }>(db, sql`select ${methodsOf(db, userId, 'methods')}`))!.methods
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
