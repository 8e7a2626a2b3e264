import { isUnavailable } from './errors.js'
import { UnusableDatabaseError } from './unusable.js'

/** PostgreSQL 15. */
const OLDEST_VERSION = 150_000

/** Servers with PostgreSQL's protocol whose transaction ids, snapshots or advisory locks have another meaning. */
const OTHERS: ReadonlyArray<readonly [name: string, saysVersion: RegExp]> = [
  ['CockroachDB', /cockroach/i],
  ['YugabyteDB', /yugabyte|-YB-/i],
  ['Aurora DSQL', /\bDSQL\b/i],
  ['Redshift', /redshift/i],
  ['Greenplum', /greenplum/i],
  ['Materialize', /materialize/i],
  ['RisingWave', /risingwave/i],
  ['CrateDB', /crate/i],
  ['Spanner', /spanner/i]
]

/** Functions that the service needs: replicas read transactions in their order, and take turns by advisory locks. */
const NEEDED = `
  select current_setting('server_version_num')::int as number, current_setting('server_encoding') as encoding, pg_backend_pid() as pid,
    pg_current_xact_id()::text, pg_snapshot_xmin(pg_current_snapshot())::text, pg_snapshot_xmax(pg_current_snapshot())::text,
    extract(epoch from pg_postmaster_start_time())::text, pg_is_in_recovery(),
    pg_try_advisory_xact_lock(hashtext('countersign server check')), to_regclass('pg_class')::text`

export interface Server {
  /** The setting `server_version_num`. */
  number: number
  encoding: string
  /** The process that answered. */
  pid: number
}

/** Runs one statement. */
export type Ask = (text: string) => Promise<{ rows: unknown[] }>

/**
 * Checks that the server is a supported PostgreSQL.
 *
 * @throws {UnusableDatabaseError} if it is not; the message names the reason
 */
export async function requirePostgres (ask: Ask): Promise<Server> {
  const { rows: [found] } = await ask('select version() as version').catch((error: unknown) => {
    throw lacking('the database', error)
  }) as { rows: Array<{ version: string }> }
  const version = String(found?.version)
  const product = version.split(/ on |,/)[0]
  const other = OTHERS.find(([, saysVersion]) => saysVersion.test(version))?.[0]
  if (other !== undefined) {
    throw new UnusableDatabaseError(
      `The database is ${other}, which speaks PostgreSQL's protocol without its guarantees: PostgreSQL itself is needed.`)
  }
  const { rows: [server] } = await ask(NEEDED).catch((error: unknown) => {
    throw lacking(`the database (${product})`, error)
  }) as { rows: Server[] }
  const { number, encoding } = server!
  if (number < OLDEST_VERSION) throw new UnusableDatabaseError(`The database is ${product}: PostgreSQL 15 or later is needed.`)
  if (encoding !== 'UTF8') {
    throw new UnusableDatabaseError(
      `The encoding of the database is ${encoding}, and must be UTF8: create database … encoding 'UTF8' template template0.`)
  }
  return server!
}

/** Returns the error to throw: an outage is temporary, but a function that the server lacks is a permanent fault. */
function lacking (database: string, error: unknown): unknown {
  const { message, cause = error } = error as Error
  if (isUnavailable(cause)) return error
  return new UnusableDatabaseError(`A part of PostgreSQL 15 is missing in ${database}: ${message}.`, { cause: error })
}
