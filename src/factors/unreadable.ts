import type { Counters } from '../core/counters.js'

/** Log lines of a process about single rows: a key ring without its old key makes many rows unreadable at once. */
const MOST_ROWS_LOGGED = 100

/** Reports a row whose stored value cannot be read. The row is skipped; the user's other rows are used. */
export type ReportUnreadable = (table: string, row: string, error: unknown) => void

export interface UnreadableRow {
  table: string
  /** Null in the line for all further rows. */
  row: string | null
  reason: string
}

/** @param log writes a line for each row, once in the life of the process: at most `MOST_ROWS_LOGGED` lines, and one for the others */
export function createUnreadable (counters: Counters, log: (at: UnreadableRow) => void): ReportUnreadable {
  const logged = new Set<string>()
  return (table, row, error) => {
    counters.count('rows_skipped_total', [table])
    const place = `${table} ${row}`
    if (logged.has(place) || logged.size > MOST_ROWS_LOGGED) return
    logged.add(place)
    log({ table, row: logged.size > MOST_ROWS_LOGGED ? null : row, reason: error instanceof Error ? error.message : 'unreadable' })
  }
}
