import {
  expressionBuilder, isExpression, sql, type AliasedExpression, type AliasedRawBuilder, type Expression, type KyselyPlugin,
  type QueryCreator
} from 'kysely'
import type { DB } from './schema.js'

/*
 * The text of some values depends on settings of the server (DateStyle, TimeZone, extra_float_digits), and their JavaScript
 * type on the driver (a host may set type parsers for the whole process). Such values are selected as text in a fixed format,
 * in a column whose name says how to read it: `createdAt$time` is read as the Date `createdAt`.
 */
const readers = {
  time: (milliseconds: string): unknown => new Date(Number(milliseconds)),
  number: (digits: string): unknown => Number(digits),
  json: (text: string): unknown => JSON.parse(text),
  words: (text: string): unknown => text === '' ? [] : text.split(' ')
} as const

type Reader = keyof typeof readers

const values = expressionBuilder<DB>()

/** @returns a column that has the name and type of the value that is read from it */
const column = <Name extends string, Value>(value: Expression<unknown>, name: Name, reader: Reader) =>
  values.cast(values.parens(value), 'text').as(`${name}$${reader}`) as unknown as AliasedExpression<Value, Name>

/** Type of a value that is read, null where the expression may be null. */
type Read<Found, Value> = unknown extends Found ? Value : Value | Extract<Found, null>

/** Unix seconds, and milliseconds, of a timestamptz: numbers with a fraction. */
export const unixSeconds = <Found>(at: Expression<Found>) => sql<Read<Found, number>>`extract(epoch from ${at})`
export const milliseconds = <Found>(at: Expression<Found>) =>
  values(unixSeconds(at) as Expression<number>, '*', values.lit(1000)) as Expression<unknown> as Expression<Read<Found, number>>

/** Selects a timestamptz as the `Date` `name`, to the millisecond. */
export const timeAs = <Name extends string, Found>(at: Expression<Found>, name: Name) =>
  column<Name, Read<Found, Date>>(values.fn('floor', [milliseconds(at)]), name, 'time')

/** Selects a number that is wider than an integer or has a fraction, as the number `name`. */
export const numberAs = <Name extends string, Found>(value: Expression<Found>, name: Name) =>
  column<Name, Read<Found, number>>(values.cast(values.parens(value), 'numeric'), name, 'number')

/** Selects json, or an array by way of `to_json`, as the value `name`. */
export const jsonAs = <Name extends string, Found>(value: Expression<Found>, name: Name) => column<Name, Found>(value, name, 'json')

/** Selects a text of words with a space between them as the array `name`. */
export const wordsAs = <Name extends string, Word extends string>(text: Expression<string>, name: Name) =>
  column<Name, Word[]>(text, name, 'words')

/** Selects an array as the value `name`: the driver would read it by the parsers of its process. */
export const arrayAs = <Name extends string, Found>(value: Expression<Found>, name: Name) =>
  column<Name, Found>(values.fn('to_json', [values.parens(value)]), name, 'json')

/** Passes a time of this process, or a placeholder of one, in Unix seconds. */
export const timeOfSeconds = (seconds: number | null) => values.fn<Date>('to_timestamp', [typed(seconds, 'float8')])

/** Time of the database at this statement. A test can move its clock. */
export const clock = values.fn<Date>('clock_timestamp')

/** The same, read once for the statement: a search in an index may compare with it, also where `now` is one side of a join. */
export const clockOnce = sql<Date>`(select ${clock})`

/** Id of this transaction. */
export const currentXid = values.fn<string>('pg_current_xact_id')

/** Value of this process, a placeholder of it, or an expression over the rows of a statement, as a text. */
export const textOf = <Value extends string | null>(value: Value | Expression<Value>) =>
  values.cast<Value>(isExpression(value) ? value : values.val(value), 'text')

/** The same for a value that is null where it is absent: the type of a parameter without a column beside it. */
export const typed = <Value>(value: Value | Expression<Value>, type: DataType) =>
  values.cast<Value>(isExpression(value) ? value : values.val(value), sql.raw(type))

/** Id that is a uuid in one column and a text in another: a parameter has one type. */
export const uuidOf = (id: string) => typed<string>(textOf<string>(id), 'uuid')

/** Null of a type. */
export const nothing = <Value>(type: DataType) => values.cast<Value | null>(values.lit(null), sql.raw(type))

/** Text in byte order, the same in every locale of the database. */
export const inByteOrder = (text: Expression<string>) => sql<string>`(${text} collate "C")`

/** An empty array of JSON. Not a parameter: some drivers encode parameters by their type, and make a JSON text of `[]`. */
export const emptyJson = <Item>() => values.cast<Item[]>(sql.lit('[]'), 'json')

/** After an upsert: true for a row that was inserted, false for one that was updated. */
export const wasInserted = sql<boolean>`xmax = 0`

type Seconds = number | Expression<number>
const interval = (seconds: Seconds) => sql<never>`make_interval(secs => ${seconds})`

/** Time that lies a number of seconds before or after another one. */
export const earlier = (at: Expression<Date | string>, seconds: Seconds) => values(at, '-', interval(seconds)).$castTo<Date>()
export const later = (at: Expression<Date | string>, seconds: Seconds) => values(at, '+', interval(seconds)).$castTo<Date>()

/** Types of parameters. */
type DataType = 'bigint' | 'boolean' | 'bytea' | 'float8' | 'integer' | 'text' | 'text[]' | 'timestamptz' | 'timestamptz[]' |
  'uuid' | 'uuid[]' | 'xid8'

type Unnested<Lists> = { [Name in keyof Lists]: Lists[Name] extends readonly [string, infer List] ? Elements<List> : never }
type Elements<List> = List extends ReadonlyArray<infer Element> ? Element : never

/**
 * Relation of the rows that several lists have by their place.
 *
 * @param lists type of the elements, and the list, by the name of the column
 */
export function unnested<Alias extends string, Lists extends Record<string, readonly [type: string, list: readonly unknown[]]>> (
  alias: Alias, lists: Lists
): AliasedRawBuilder<Unnested<Lists>, Alias> {
  const arrays = Object.values(lists).map(([type, list]) => typed(list, `${type}[]` as DataType))
  const names = Object.keys(lists).map((name) => sql.ref(name))
  return sql<Unnested<Lists>>`unnest(${sql.join(arrays)})`.as<Alias>(sql`${sql.ref(alias)} (${sql.join(names)})`)
}

interface Column { to: string, read: ((text: string) => unknown) | null }

/** Columns of all statements by their names, and those that are sent in one. */
const known = new Map<string, Column>()
const sentInOne = new Map<string, Column[]>()

function columnOf (name: string): Column {
  const column = known.get(name)
  if (column !== undefined) return column
  const [, to, reader] = /^(.+)\$(time|number|json|words)$/.exec(name) ?? []
  const made = to === undefined ? { to: name, read: null } : { to, read: readers[reader as Reader] }
  known.set(name, made)
  return made
}

/** Ends the name of a column that has a whole row. */
const ROW = '$row'

/** Selects a JSON array as the row of these values, each with the name of a column. */
export function asOne (name: string, names: readonly string[], array: Expression<unknown>) {
  sentInOne.set(name + ROW, names.map(columnOf))
  return values.cast<never>(array, 'text').as(name + ROW)
}

/**
 * Selects columns of text, booleans and integers as one, the text of a JSON array. The driver describes and reads each column of each
 * answer, which takes longer than all that is done with the values.
 *
 * @param name tells this list of columns from others
 */
export function inOne<const Columns extends ReadonlyArray<AliasedExpression<unknown, string>>> (name: string, columns: Columns): Columns {
  const array = values.fn('json_build_array', columns.map(({ expression }) => expression))
  return [asOne(name, columns.map(({ alias }) => alias as string), array)] as unknown as Columns
}

const valueOf = ({ read }: Column, value: unknown): unknown =>
  read === null ? value : typeof value === 'string' ? read(value) : null

function readRow (row: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const name of names) {
    const columns = sentInOne.get(name)
    if (columns === undefined) {
      const column = columnOf(name)
      found[column.to] = valueOf(column, row[name])
    } else {
      const sent = JSON.parse(row[name] as string) as unknown[]
      for (let i = 0; i < columns.length; i++) found[columns[i]!.to] = valueOf(columns[i]!, sent[i])
    }
  }
  return found
}

/** Plugin that reads such columns in every result. */
export const valueReader: KyselyPlugin = {
  transformQuery: ({ node }) => node,
  async transformResult ({ result }) {
    const [first] = result.rows
    const names = first === undefined ? [] : Object.keys(first)
    return names.some((name) => name.includes('$')) ? { ...result, rows: result.rows.map((row) => readRow(row, names)) } : result
  }
}

/** CTE that reads the clock once for the whole statement. */
export const now = sql`now as materialized (select clock_timestamp() as at)`

/** Relation of that CTE. */
export interface Now { at: Date }

/** Begins a statement with that CTE. */
export const withNow = (db: QueryCreator<DB>) => db
  .with((cte) => cte('now').materialized(), (db) => db.selectNoFrom(clock.as('at'))) as unknown as QueryCreator<DB & { now: Now }>
