import type { Tally } from '../core/counters.js'

/** Lines of a process about single rows: a ring without its old key makes many rows unreadable at once. */
const MOST_ROWS_LOGGED = 100

/** Reports a row whose stored value cannot be read. The row is skipped; what else the user has goes on. */
export type ReportUnreadable = (table: string, row: string, error: unknown) => void

export interface UnreadableRow {
  table: string
  /** Null for all further rows together. */
  row: string | null
  reason: string
}

/** @param log a line for each row, once in the life of the process, `MOST_ROWS_LOGGED` lines at most and one for the others */
export function createUnreadable (tally: Tally, log: (at: UnreadableRow) => void): ReportUnreadable {
  const logged = new Set<string>()
  return (table, row, error) => {
    tally.count('rows_skipped_total', [table])
    const place = `${table} ${row}`
    if (logged.has(place) || logged.size > MOST_ROWS_LOGGED) return
    logged.add(place)
    log({ table, row: logged.size > MOST_ROWS_LOGGED ? null : row, reason: error instanceof Error ? error.message : 'unreadable' })
  }
}
