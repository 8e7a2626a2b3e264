import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { originOf } from '../routes/requester.js'
import { createGuards } from '../src/attach/guard.js'
import { openHostStores } from '../src/attach/host-stores.js'
import { checkOptions, type CountersignOptions } from '../src/attach/options.js'
import { createSecondFactor } from '../src/attach/second-factor.js'
import { importFactors } from '../src/attach/moving.js'
import { migrate, migrationSql, tablesVersion } from '../src/attach/tables.js'
import secondFactor, { freeNames } from './second-factor.js'

const NEEDS_AUTH_TIME =
  'countersign: without "checkPassword" a first device needs "authTime" of identify(): a proof of unknown age is old'
const NO_SESSION_ID = 'countersign: identify() answered no "sessionId": such requests are refused with 401. Sessions and tokens from ' +
  'before the plugin have none, so their users must log in again'

/** Opens the stores of a host, then registers the second factor over them. */
async function countersign (app: FastifyInstance, given: CountersignOptions): Promise<void> {
  const options = checkOptions(given)
  const { namespace, settings, issuer, decorators, sealKeys, revocationSeconds, sameSession = false } = options
  freeNames(app, decorators)
  const stores = await openHostStores(app, options)
  const factor = createSecondFactor({
    stores, sealKeys, namespace, settings: { ...settings, issuer }, revocationSeconds, sameSession, log: app.log
  })
  const asksPassword = options.checkPassword !== undefined
  if (!asksPassword) app.log.warn(NEEDS_AUTH_TIME)
  const guards = createGuards({
    factor,
    identify: options.identify,
    originOf,
    slot: decorators.countersign,
    onUnknownAge () { if (!asksPassword) app.log.warn(`${NEEDS_AUTH_TIME}, and identify() answered none`) },
    onMissingSession () { app.log.warn(NO_SESSION_ID) }
  })
  await app.register(secondFactor, { ...options, factor, guards })
}

export type { Countersign, Factor, FactorStatus } from '../src/attach/api.js'
export type { CountersignOptions } from '../src/attach/options.js'
export type { Completion, Identity, ProvenSession } from '../src/attach/options/host-types.js'
export { otpVerified, type Check, type GuardHook, type LookedUpGuard, type OtpVerified } from '../src/attach/guard.js'
export type {
  ExportedUser, ExportFactorsOptions, ImportedFactors, ImportFactorsOptions, ScriptImportOptions, UserFactors
} from '../src/attach/moving.js'
export type { TablesOptions, TablesVersion } from '../src/attach/tables.js'
export type { Demand, SessionContext } from '../src/core/assurance.js'
export type { SecurityEventNotice } from '../src/events/notice.js'
export { isRefusal, Refusal, type RefusalCode, type RefusalDetails } from '../src/core/refusals.js'
export { namedSchemas } from './named-schemas.js'
export { importFactors, migrate, migrationSql, tablesVersion }

/** The plugin, with the functions that migrate its tables and import factors into them. */
export default Object.assign(
  fp(countersign, { name: 'countersign', fastify: '5.x' }), { importFactors, migrate, migrationSql, tablesVersion }
)
