import { expressionBuilder, type Expression } from 'kysely'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { typed, unnested } from '../tables/values.js'

const FIRST_UUID = '00000000-0000-0000-0000-000000000000'

/**
 * Sealed columns by the place that they are sealed for: table, user column, row column and the column itself. Secrets of
 * authenticator apps are sealed for `otp_device`, the table that they were in first.
 */
const columns = {
  otp_device: { table: 'otp_totp', user: 'user_id', row: 'device_id', type: 'uuid', sealed: 'secret', firstRow: FIRST_UUID },
  otp_device_seed: { table: 'otp_device', user: 'user_id', row: 'id', type: 'uuid', sealed: 'seed', firstRow: FIRST_UUID },
  otp_totp_other: { table: 'otp_totp', user: 'user_id', row: 'device_id', type: 'uuid', sealed: 'other_secret', firstRow: FIRST_UUID },
  otp_recovery_code: { table: 'otp_recovery_code', user: 'user_id', row: 'digest', type: 'text', sealed: 'origin', firstRow: '' },
  otp_key: { table: 'otp_key', user: null, row: 'name', type: 'text', sealed: 'sealed', firstRow: '' },
  account_oauth_profile: {
    table: 'account_oauth_profile', user: 'user_id', row: 'id', type: 'uuid', sealed: 'credentials', firstRow: FIRST_UUID
  }
} as const satisfies { [Place in string]: { [Table in keyof Tables]: Columns<Table> }[keyof Tables] }

interface Columns<Table extends keyof Tables> {
  table: Table
  user: keyof Tables[Table] | null
  row: keyof Tables[Table]
  type: 'uuid' | 'text'
  sealed: keyof Tables[Table]
  firstRow: string
}

export type SealedPlace = keyof typeof columns
export const sealedPlaces = Object.keys(columns) as SealedPlace[]

export interface SealedRow { userId: string, row: string, sealed: string }

const PAGE_ROWS = 500

interface After { kid: string, userId: string, row: string }
interface Replacements { userIds: string[], rows: string[], sealed: string[], resealed: string[] }

/** The builder sees one table and its columns in the place of each. */
const s = expressionBuilder<{ s: Tables['otp_totp'] }, 's'>()
function namesOf (place: SealedPlace) {
  const { table, user, row, sealed, type } = columns[place]
  return {
    table: `${table} as s` as 'otp_totp as s',
    column: sealed as 'secret',
    user: user === null ? typed<string>('', 'text') : s.ref(`s.${user}`),
    row: s.ref(`s.${row}` as 's.device_id'),
    sealed: s.ref(`s.${sealed}` as 's.secret'),
    type
  }
}

/** Condition: the value is sealed under another key. Null is not sealed. */
const isStale = (sealed: Expression<string>, kid: string) =>
  s(s.fn<string>('split_part', [sealed, s.val('.'), s.lit(1)]), '<>', kid)

const selectCount = statement('count_stale', (db, p: Parameters<{ kid: string }>) => db.selectNoFrom((eb) => {
  const counts = sealedPlaces.map((place) => {
    const { table, sealed } = namesOf(place)
    return eb.selectFrom(table).select((eb) => eb.fn.countAll<number>().as('rows')).where(isStale(sealed, p.kid)).$asScalar()
  })
  return eb.cast<number>(counts.reduce<Expression<number | null>>((sum, count) => eb(sum, '+', count), eb.lit(0)), 'integer').as('count')
}))

/** Counts the rows that are sealed under another key. */
export const countStale = async (db: Db, kid: string): Promise<number> => (await selectCount.first(db, { kid }))!.count

const statementsOf = (place: SealedPlace) => {
  const { table, user, row, sealed, column, type } = namesOf(place)
  return {
    page: statement(`stale_${place}`, (db, p: Parameters<After>) => db.selectFrom(table)
      .select((eb) => [user.as('userId'), eb.cast<string>(row, 'text').as('row'), sealed.as('sealed')])
      .where(isStale(sealed, p.kid)).where((eb) => eb(eb.tuple(user, row), '>', eb.tuple(typed(p.userId, 'text'), typed(p.row, type))))
      .orderBy(user).orderBy(row).limit((eb) => eb.lit(PAGE_ROWS))),
    replace: statement(`reseal_${place}`, (db, p: Parameters<Replacements>) => db.updateTable(table)
      .from(unnested('r', {
        user_id: ['text', p.userIds], id: [type, p.rows], sealed: ['text', p.sealed], resealed: ['text', p.resealed]
      }))
      .set((eb) => ({ [column]: eb.ref('r.resealed') }))
      .where(user, '=', (eb) => eb.ref('r.user_id')).where(row, '=', (eb) => eb.ref('r.id')).where(sealed, '=', (eb) => eb.ref('r.sealed')))
  }
}

const statements = Object.fromEntries(sealedPlaces.map((place) => [place, statementsOf(place)])) as
  Record<SealedPlace, ReturnType<typeof statementsOf>>

/** Returns the next page of those rows, in the order of their keys. */
export const stalePage = async (db: Db, place: SealedPlace, kid: string, after: SealedRow | null): Promise<SealedRow[]> =>
  await statements[place].page.all(db, { kid, userId: after?.userId ?? '', row: after?.row ?? columns[place].firstRow })

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
  return await statements[place].replace.changed(db, {
    userIds: replacements.map(({ userId }) => userId),
    rows: replacements.map(({ row }) => row),
    sealed: replacements.map(({ sealed }) => sealed),
    resealed: replacements.map(({ resealed }) => resealed)
  })
}
