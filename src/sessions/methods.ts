import { sql } from 'kysely'
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
