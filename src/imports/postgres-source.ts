import type pg from 'pg'
import { connectFirst, serversOf } from '../postgres/connect.js'
import { COMMAND_CONNECT_MS } from '../timing/limits.js'
import { PAGE_USERS, SourceError } from './person.js'

/**
 * Formats that pg reads correctly, and no time limit between two pages. They override the settings of the source's role and
 * database. A column without a time zone is in UTC, as drivers of JavaScript write it.
 */
const PLAIN = [
  "datestyle = 'ISO, MDY'", "timezone = 'UTC'", 'extra_float_digits = 1', 'statement_timeout = 0', 'lock_timeout = 0',
  'idle_in_transaction_session_timeout = 0'
]

export interface SourceDatabase {
  rows <Row extends object>(text: string, values?: unknown[]): Promise<Row[]>
  close (): Promise<void>
}

/**
 * Opens the database of another system for reading, from one snapshot.
 *
 * @param password called only if the server needs one; its errors are passed on
 * @param tables tables of such a system; if one is missing, the database belongs to another application
 * @param system for messages, such as "such a Django deployment"
 * @throws {SourceError} if it does not answer, or is another database
 */
export async function openSourceDatabase (
  url: string, password: () => Promise<string>, tables: readonly string[], system: string
): Promise<SourceDatabase> {
  let unasked: unknown
  const client: pg.Client = await connectFirst(serversOf(url, 'libpq'), {
    password: () => password().catch((error: unknown) => {
      unasked = error
      throw error
    }),
    connectionTimeoutMillis: COMMAND_CONNECT_MS,
    application_name: 'countersign import'
  }).catch((error: Error) => { throw unasked ?? new SourceError(`The source does not answer: ${error.message}`) })
  const rows: SourceDatabase['rows'] = async <Row extends object>(text: string, values: unknown[] = []) =>
    (await client.query<Row>(text, values)).rows
  try {
    await client.query(
      `begin transaction isolation level repeatable read, read only; ${PLAIN.map((setting) => `set local ${setting}`).join('; ')}`
    )
    const missing = await rows<{ name: string }>('select name from unnest($1::text[]) name where to_regclass(name) is null', [tables])
    if (missing.length > 0) {
      throw new SourceError(`The source has no ${missing.map(({ name }) => name).join(', ')}: it is not ${system}.`)
    }
  } catch (error) {
    await client.end()
    throw error
  }
  return { rows, close: () => client.end() }
}

/** Groups rows by the user that they belong to. */
export function byUser<Row extends { userId: string | number }> (rows: readonly Row[]): Map<Row['userId'], Row[]> {
  const found = new Map<Row['userId'], Row[]>()
  for (const one of rows) {
    const of = found.get(one.userId)
    if (of === undefined) found.set(one.userId, [one])
    else of.push(one)
  }
  return found
}

/**
 * Reads rows as objects with names in camelCase, in pages, by a cursor of the snapshot: applications name and type their columns in
 * several ways.
 *
 * @param query selects one column `row` of type jsonb; has no parameters
 */
export async function * pagesOfRows (db: SourceDatabase, query: string): AsyncGenerator<Array<Record<string, unknown>>> {
  await db.rows(`declare people no scroll cursor for ${query}`)
  for (;;) {
    const rows = await db.rows<{ row: Record<string, unknown> }>(`fetch ${PAGE_USERS} from people`)
    if (rows.length === 0) break
    yield rows.map(({ row }) => camelCased(row))
  }
  await db.rows('close people')
}

export function camelCased (row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) =>
    [name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()), value]))
}

/** Time for a query without parameters. */
export const literalTime = (at: Date): string => `'${at.toISOString()}'::timestamptz`

export const textOf = (value: unknown): string => typeof value === 'string' ? value : ''
/** Reads a time of jsonb; null for none. Without a zone it is UTC. */
export function timeOf (value: unknown): Date | null {
  if (typeof value !== 'string') return null
  const date = new Date(/(Z|[+-]\d{2}(:?\d{2})?)$/.test(value) ? value : `${value}Z`)
  return Number.isNaN(date.getTime()) ? null : date
}
