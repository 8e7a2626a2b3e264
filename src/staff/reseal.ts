import { sql } from 'kysely'
import { row, rows, type Db } from '../tables/db.js'

const FIRST_UUID = '00000000-0000-0000-0000-000000000000'

/**
 * Sealed columns by the place that they are sealed for: table, user column, row column and the column itself. Secrets of
 * authenticator apps are sealed for `otp_device`, the table that they were in first.
 */
const columns = {
  otp_device: { table: 'otp_totp', user: sql`user_id`, row: sql`device_id`, type: sql`uuid`, sealed: sql`secret`, firstRow: FIRST_UUID },
  otp_device_seed: { table: 'otp_device', user: sql`user_id`, row: sql`id`, type: sql`uuid`, sealed: sql`seed`, firstRow: FIRST_UUID },
  otp_totp_other: {
    table: 'otp_totp', user: sql`user_id`, row: sql`device_id`, type: sql`uuid`, sealed: sql`other_secret`, firstRow: FIRST_UUID
  },
  otp_recovery_code: {
    table: 'otp_recovery_code', user: sql`user_id`, row: sql`digest`, type: sql`text`, sealed: sql`origin`, firstRow: ''
  },
  otp_key: { table: 'otp_key', user: sql`''::text`, row: sql`name`, type: sql`text`, sealed: sql`sealed`, firstRow: '' },
  account_oauth_profile: {
    table: 'account_oauth_profile', user: sql`user_id`, row: sql`id`, type: sql`uuid`, sealed: sql`credentials`, firstRow: FIRST_UUID
  }
} as const

export type SealedPlace = keyof typeof columns
export const sealedPlaces = Object.keys(columns) as SealedPlace[]

export interface SealedRow { userId: string, row: string, sealed: string }

const PAGE_ROWS = 500

/** Counts the rows that are sealed under another key. */
export async function countStale (db: Db, kid: string): Promise<number> {
  const counts = sealedPlaces.map((place) => {
    const { table, sealed } = columns[place]
    return sql`(select count(*) from ${db.table[table]} where split_part(${sealed}, '.', 1) <> ${kid})`
  })
  return (await row<{ count: number }>(db, sql`select (${sql.join(counts, sql` + `)})::int as count`))!.count
}

/** Returns the next page of those rows, in the order of their keys. */
export async function stalePage (db: Db, place: SealedPlace, kid: string, after: SealedRow | null): Promise<SealedRow[]> {
  const { table, user, row: id, type, sealed, firstRow } = columns[place]
  return await rows<SealedRow>(db, sql`
    select ${user} as "userId", ${id}::text as row, ${sealed} as sealed from ${db.table[table]}
    where split_part(${sealed}, '.', 1) <> ${kid} and (${user}, ${id}) > (${after?.userId ?? ''}, ${after?.row ?? firstRow}::${type})
    order by ${user}, ${id} limit ${PAGE_ROWS}`)
}

/**
 * Replaces sealed values, only where the row still has the value that was read.
 *
 * @returns the number of replaced rows
 */
export async function replaceSealed (
  db: Db,
  place: SealedPlace,
  replacements: ReadonlyArray<SealedRow & { resealed: string }>
): Promise<number> {
  const { user, row: id, type, sealed } = columns[place]
  const table = db.table[columns[place].table]
  const { numAffectedRows } = await sql`
    update ${table} set ${sealed} = r.resealed
    from jsonb_to_recordset(${JSON.stringify(replacements)}::jsonb) as r("userId" text, row ${type}, sealed text, resealed text)
    where ${user} = r."userId" and ${table}.${id} = r.row and ${table}.${sealed} = r.sealed`.execute(db.kysely)
  return Number(numAffectedRows ?? 0)
}
