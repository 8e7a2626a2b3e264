import type { FastifyBaseLogger } from 'fastify'
import type { SecurityEventNotice } from '../events/notice.js'
import { Refusal } from '../core/refusals.js'
import type { Db } from '../tables/db.js'
import { watched } from '../events/listener.js'
import type { FactorOptions } from './options/factor-options.js'

/** Returns the database, and reports its events to `onSecurityEvent` if that is set. */
export function listening (log: FastifyBaseLogger, db: Db, onSecurityEvent: FactorOptions['onSecurityEvent']): Db {
  if (onSecurityEvent === undefined) return db
  const report = (error: unknown) => log.error({ err: error }, 'onSecurityEvent')
  const tell = async (event: SecurityEventNotice) => { await onSecurityEvent(event) }
  return watched(db, (event) => { tell(event).catch(report) }, report)
}

/** Ignores a refusal at start: the process starts while PostgreSQL is unreachable. */
export function passOver (error: unknown): void {
  if (!(error instanceof Refusal)) throw error
}
