import type { Db } from '../../tables/db.js'
import { requireWritable, type ServerFacts } from '../../tables/primary.js'
import { MOST_ENDS, selectEnds } from './revocations.sql.js'

export interface NamedSession {
  userId: string
  sessionId: string
  /** False for a session of a host that lives and has a new proof under its own id. */
  isOver: boolean
}

/** Every session of a user with a proof from before a time has ended. */
export interface MarkedUser {
  userId: string
  /** Unix seconds. */
  endedBefore: number
}

/** Revocation reading. */
export interface Ends extends ServerFacts {
  named: readonly NamedSession[]
  marked: readonly MarkedUser[]
  /** True if there were more revocations than one reading names: then it names none, and all earlier readings must be dropped. */
  tooMany: boolean
  /** Every session with a proof from before this has ended, of all users: Unix seconds; null if none has. */
  endedBefore: number | null
  /** History of the server. A promotion or a point-in-time recovery begins a new one. */
  timeline: number
  /** Database, schema and role of the connection: readings of other ones are about other rows or other settings. */
  place: string
  /** `pg_snapshot` as text: the transactions that this reading saw. The next one names transactions that finished later. */
  snapshot: string
  /** Settings of the role and the database about writes. A change holds for connections made after it. */
  readOnlySettings: string
  /** PostgreSQL's clock, Unix milliseconds, read after that snapshot was taken. */
  nowMs: number
}

/**
 * Returns the sessions that ended, and the users that were marked, since an earlier reading, by the order of transactions, not by clock
 * or sequence: the earlier snapshot did not see the transaction as finished (its id is `xmax` or higher, or in the list of open ids),
 * and this one does. Each session is named once, even if a transaction stays open for long, in this or another database of the
 * server. Ids that this server has not reached yet (rows from a dump of another server) have no place in this order and are
 * left out.
 *
 * @param since snapshot of the reading before; null for the first one, which names no session
 * @throws {Refusal} UNAVAILABLE if the server takes no writes: its state may be older than that of an earlier reading
 */
export async function readEnds (db: Db, since: string | null): Promise<Ends> {
  const found = await selectEnds.first(db, { since })
  requireWritable(db, found!.isWritable)
  const { named, marked } = found!
  return named.length + marked.length > MOST_ENDS ? { ...found!, named: [], marked: [], tooMany: true } : { ...found!, tooMany: false }
}
