import { expressionBuilder, sql } from 'kysely'
import { Refusal } from '../core/refusals.js'
import { readOnlyError } from '../postgres/errors.js'
import type { Db } from './db.js'
import { unixSeconds } from './values.js'

const values = expressionBuilder<object>()

/** Facts about the server on which a statement ran. */
export interface ServerFacts {
  /** Differs between servers, and changes with each start of one. */
  server: string
  /** False on a server that is not the primary: a standby, or one with `default_transaction_read_only` on. */
  isWritable: boolean
}

/** `ServerFacts.server`: start time of the server, to the microsecond. The text does not depend on any setting of the connection. */
export const serverStart = values.cast<string>(values.cast(unixSeconds(values.fn<Date>('pg_postmaster_start_time')), 'numeric'), 'text')

/** Column `isWritable`. `pg_is_in_recovery()` would be false on a server that was demoted by a setting. */
export const isWritable = values(values.fn<string>('current_setting', [sql.lit('transaction_read_only')]), '=', sql.lit('off'))
  .$castTo<boolean>().as('isWritable')

/**
 * Column `readOnlySettings`: `default_transaction_read_only` of this role and this database. It holds for connections made after
 * it was set.
 */
export const readOnlySettings = sql<string>`(
  select coalesce(string_agg(concat_ws(' ', setdatabase, setrole, setting), ', ' order by setdatabase, setrole), '')
  from pg_db_role_setting cross join unnest(setconfig) as setting
  where setting like 'default_transaction_read_only=%'
    and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and setrole in (0, (select oid from pg_roles where rolname = session_user))
)`.as('readOnlySettings')

/**
 * Refuses the answer of a server without writes, since it may lack commits of the primary. Connections that may lead to that
 * server are not used again.
 *
 * @throws {Refusal} UNAVAILABLE
 */
export function requireWritable (db: Db, takesWrites: boolean): void {
  if (takesWrites) return
  db.renew()
  throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: readOnlyError() })
}
