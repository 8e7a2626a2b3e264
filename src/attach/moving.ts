import { createSeal, DEFAULT_NAMESPACE, type Key } from '../core/keys/seal.js'
import { exportedUsers, readExport, type ExportedFactors } from '../factors/moving/export-factors.js'
import {
  importFactors as put, type ImportFactorsDeps, type ImportFactorsOptions, type ImportedFactors, type UserFactors
} from '../factors/moving/import-factors.js'
import { createDigestKey } from '../factors/recovery/digest-key.js'
import { recordExported } from '../events/exported.js'
import { openHostDatabase, type HostDatabase } from '../tables/host-database.js'
import { requireActor, requireId } from './ids.js'
import { factorRules } from './options/factor-options.js'
import { ringOf } from './options.js'
import { requireRule } from './options/rule.js'
import type { SecondFactor } from './second-factor.js'
import { schemaOf } from './tables.js'

export type { ImportedFactors, ImportFactorsOptions, UserFactors }

/** Options of an export of second factors. */
export interface ExportFactorsOptions {
  /** Actor, recorded in each user's events. */
  actorId: string
  /** Reason, recorded in each user's events. */
  reason: string
  /** This user alone. @default all users */
  userId?: string
}

/** Factors of one user, and rows that cannot leave, without any value of them. */
export interface ExportedUser extends ExportedFactors {
  /** The host's id of the user. */
  userId: string
}

/** Options of an import by a script, without the plugin. */
export interface ScriptImportOptions extends ImportFactorsOptions {
  /** The same as of the plugin. */
  sealKeys: string | readonly Key[]
  /** The same as of the plugin. @default 'countersign' */
  namespace?: string
  /** The same as `tables.schema` of the plugin. @default 'countersign' */
  schema?: string
  /** The same as `window` of the plugin. @default 1 */
  window?: number
}

const depsOf = ({ db, seal, digestKey, settings }: SecondFactor): ImportFactorsDeps => ({ db, seal, digestKey, window: settings.window })

/** Imports factors by the plugin of this process. */
export async function importByPlugin (
  factor: SecondFactor, records: Iterable<UserFactors> | AsyncIterable<UserFactors>, options: ImportFactorsOptions
): Promise<ImportedFactors> {
  return await put(depsOf(factor), records, options, (userId, sessionIds) => {
    for (const sessionId of sessionIds) factor.sessions.changed(userId, sessionId)
  })
}

/** Reads factors with their secrets. An event for each user is committed before the record is returned. */
export async function * exportByPlugin (
  { db, seal, digestKey }: SecondFactor, { actorId, reason, userId }: ExportFactorsOptions
): AsyncGenerator<ExportedUser> {
  requireActor({ actorId, reason }, 'exportFactors()')
  if (userId !== undefined) requireId(userId, 'exportFactors() must take "userId"')
  for await (const userIds of userId === undefined ? exportedUsers(db) : [[userId]]) {
    const found = await readExport({ db, seal, digestKey }, userIds, true)
    const withFactors = [...found].filter(([, { record, faults }]) =>
      faults.length > 0 || Object.values(record).some((rows) => rows.length > 0))
    if (withFactors.length === 0) continue
    await recordExported(db, withFactors.map(([id]) => id), { actorId, agent: '', reason })
    for (const [id, exported] of withFactors) yield { userId: id, ...exported }
  }
}

/**
 * Imports second factors of a host's users from a script, without the plugin. Running processes notice it within a second.
 *
 * @param database pg Pool, Kysely instance or address, as the option `database`
 * @throws {TypeError} if an option is wrong
 */
export async function importFactors (
  database: HostDatabase, records: Iterable<UserFactors> | AsyncIterable<UserFactors>,
  { sealKeys, namespace = DEFAULT_NAMESPACE, schema, window = 1, ...options }: ScriptImportOptions
): Promise<ImportedFactors> {
  requireRule('namespace', namespace, factorRules.namespace)
  const keys = ringOf(sealKeys)
  const { db, close } = await openHostDatabase(database, schemaOf(schema === undefined ? {} : { schema }), () => {})
  try {
    return await put({ db, seal: createSeal(keys, namespace), digestKey: createDigestKey(db, keys, namespace), window }, records, options)
  } finally {
    await close()
  }
}
