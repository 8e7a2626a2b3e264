import { sql, type KyselyPlugin, type RawBuilder } from 'kysely'

/*
 * The text of some values depends on settings of the server (DateStyle, TimeZone, extra_float_digits), and their JavaScript
 * type on the driver (a host may set type parsers for the whole process). Such values are selected as text in a fixed format,
 * in a column whose name says how to read it: `createdAt$time` is read as the Date `createdAt`.
 */
const readers = {
  time: (milliseconds: string): unknown => new Date(Number(milliseconds)),
  number: (digits: string): unknown => Number(digits),
  json: (text: string): unknown => JSON.parse(text)
} as const

type Reader = keyof typeof readers

const column = (value: RawBuilder<unknown>, name: string, reader: Reader) => sql`(${value})::text as ${sql.id(`${name}$${reader}`)}`

/** Selects a timestamptz as the `Date` `name`, to the millisecond. */
export const timeAs = (at: RawBuilder<unknown>, name: string) => column(sql`floor(extract(epoch from ${at}) * 1000)`, name, 'time')

/** Selects a number that is wider than an integer or has a fraction, as the number `name`. */
export const numberAs = (value: RawBuilder<unknown>, name: string) => column(sql`(${value})::numeric`, name, 'number')

/** Selects json, or an array by way of `to_json`, as the value `name`. */
export const jsonAs = (value: RawBuilder<unknown>, name: string) => column(value, name, 'json')

/** Passes a time of this process as a parameter. */
export const timeOf = (milliseconds: number) => sql`to_timestamp(${milliseconds / 1000}::float8)`

interface Column { from: string, to: string, read: ((text: string) => unknown) | null }

function columnOf (from: string): Column {
  const [, to, reader] = /^(.+)\$(time|number|json)$/.exec(from) ?? []
  return to === undefined ? { from, to: from, read: null } : { from, to, read: readers[reader as Reader] }
}

function readRow (row: Record<string, unknown>, columns: readonly Column[]): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const { from, to, read } of columns) {
    const value = row[from]
    found[to] = read === null ? value : typeof value === 'string' ? read(value) : null
  }
  return found
}

/** Plugin that reads such columns in every result. */
export const valueReader: KyselyPlugin = {
  transformQuery: ({ node }) => node,
  async transformResult ({ result }) {
    const [first] = result.rows
    const columns = first === undefined ? [] : Object.keys(first).map(columnOf)
    return columns.some(({ read }) => read !== null) ? { ...result, rows: result.rows.map((row) => readRow(row, columns)) } : result
  }
}

/** CTE that reads the clock once for the whole statement. */
export const now = sql`now as materialized (select clock_timestamp() as at)`
