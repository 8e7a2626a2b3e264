import { parseRing, ringFault, type Key } from '../core/keys/key-ring.js'
import { hostDatabaseFault } from '../tables/host-database-fault.js'
import { defaultSettings, factorRules, type FactorOptions } from './options/factor-options.js'
import { checkRouteOptions, routeRules, type CheckedRouteOptions, type RouteOptions } from './options/route-options.js'
import { checkGroup, fail, type Filled } from './options/rule.js'
import { schemaOf } from './tables.js'

/** Options of the plugin. Each is defined once, in the file of its group: type and text, check and default. */
export interface CountersignOptions extends FactorOptions, RouteOptions {}

/** Options after the check, with the defaults filled in. */
export type CheckedOptions = CheckedRouteOptions & Omit<Filled<FactorOptions, 'namespace' | 'revocationSeconds'>, 'tables'> & {
  sealKeys: readonly Key[]
  schema: string
  settings: typeof defaultSettings
}

/** Options that Fastify passes through. */
const OF_FASTIFY = ['logLevel', 'logSerializers']

/**
 * Checks the options and fills in the defaults. Messages name an option that is missing, wrong or unknown, never its value.
 *
 * @throws {TypeError}
 */
export function checkOptions (given: CountersignOptions): CheckedOptions {
  for (const name of Object.keys(given)) {
    const isKnown = Object.hasOwn(factorRules, name) || Object.hasOwn(routeRules, name) || OF_FASTIFY.includes(name)
    if (!isKnown) throw new TypeError(`countersign: there is no option "${name}"`)
  }
  const { tables, settings, ...factor } = checkGroup<FactorOptions>(given, factorRules)
  const unusable = hostDatabaseFault(factor.database)
  if (unusable !== undefined) fail('database', unusable)
  return {
    ...checkRouteOptions(given),
    ...factor as Filled<typeof factor, 'namespace' | 'revocationSeconds'>,
    sealKeys: ringOf(factor.sealKeys),
    schema: schemaOf(tables),
    settings: { ...defaultSettings, ...settings }
  }
}

export function ringOf (given: FactorOptions['sealKeys']): readonly Key[] {
  const ring = typeof given === 'string' ? parseRing(given) : given
  if (ring === undefined || ring.length === 0) return fail('sealKeys', factorRules.sealKeys.must)
  const fault = ringFault(ring, 'seal')
  if (fault !== undefined) fail('sealKeys', fault)
  return ring
}
