import { KNOWN_NETWORK_DAYS } from '../budgets/known-networks.js'
import { otpDefaults } from '../core/defaults.js'
import type { Db } from '../tables/db.js'
import { inTransaction, type Tx } from '../tables/transaction.js'
import { tableDays } from './event-tables.sql.js'
import { BATCH_ROWS, batches, lockCleanup, resumePasswordLinks, type Limits } from './statements.js'

/** An ended session is kept for so long: for the list of its owner, and well past any cache entry. */
const ENDED_SESSION_DAYS = 7
/** The longest window of a budget is an hour. */
const BUDGET_HOURS = 2
/** A counter of events is used for an hour. */
const COUNTER_HOURS = 2

const HOUR_SECONDS = 3600
const DAY_SECONDS = 24 * HOUR_SECONDS

export interface CleanedRows {
  rowsByKind: Record<string, number>
  /** True if a batch was full: there may be more rows. */
  isMore: boolean
}

/** Runs work of the cleanup in a transaction. Returns null if another replica does such work at this moment. */
export async function asCleaner<T> (db: Db, work: (tx: Tx, now: Date) => Promise<T>): Promise<T | null> {
  return await inTransaction(db, async (tx) => {
    const { isMine, now } = (await lockCleanup.first(tx))!
    return isMine ? await work(tx, now) : null
  })
}

/** Cleanup: deletes useless rows, one batch of each kind. Returns null if another replica runs it at this moment. */
export async function cleanUp (
  db: Db,
  eventsDays: number,
  endedSessionDays: number = otpDefaults.endedSessionDays
): Promise<CleanedRows | null> {
  return await asCleaner(db, async (tx, now) => {
    if (tx.hasAccounts) await resumePasswordLinks.changed(tx)
    const limits = limitsAt(now, eventsDays, endedSessionDays)
    const rowsByKind: Record<string, number> = {}
    for (const [kind, statement] of Object.entries(tx.hasAccounts ? batches.service : batches.host)) {
      rowsByKind[kind] = (await statement.all(tx, limits)).length
    }
    return { rowsByKind, isMore: Object.values(rowsByKind).includes(BATCH_ROWS) }
  })
}

function limitsAt (now: Date, eventsDays: number, endedSessionDays: number): Limits {
  const nowSeconds = now.getTime() / 1000
  const ago = (seconds: number) => nowSeconds - seconds
  return {
    now: nowSeconds,
    sessions: ago(ENDED_SESSION_DAYS * DAY_SECONDS),
    endedSessions: ago(endedSessionDays * DAY_SECONDS),
    // Those of tables that were not dropped as a whole by now.
    events: ago((eventsDays + tableDays(eventsDays) + 1) * DAY_SECONDS),
    counters: ago(COUNTER_HOURS * HOUR_SECONDS),
    budgets: ago(BUDGET_HOURS * HOUR_SECONDS),
    mailBudgets: ago(DAY_SECONDS),
    networks: ago(KNOWN_NETWORK_DAYS * DAY_SECONDS)
  }
}
