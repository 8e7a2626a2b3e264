import { sql } from 'kysely'
import { Refusal } from '../core/refusals.js'
import { readOnlyError } from '../postgres/errors.js'
import type { Db } from './db.js'

/** The server that a statement ran on. */
export interface ServerFacts {
  /** Changes with the server, and with each of its starts. */
  server: string
  /** False on a standby, and where `default_transaction_read_only` is on: on a server that is not the primary. */
  isWritable: boolean
}

/** `ServerFacts.server`: when the server started, in microseconds. No time zone and no setting of the connection changes the text. */
export const serverStart = sql`extract(epoch from pg_postmaster_start_time())::numeric::text`

/** A column of that name. `pg_is_in_recovery()` would be false on a server that was demoted by a setting. */
export const isWritable = sql`current_setting('transaction_read_only') = 'off' as "isWritable"`

/**
 * Refuses the answer of a server without writes, since it may lack commits of the primary. The connections that may lead
 * to it are not used again.
 *
 * @throws {Refusal} UNAVAILABLE
 */
export function requireWritable (db: Db, takesWrites: boolean): void {
  if (takesWrites) return
  db.renew()
  throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: readOnlyError() })
}
