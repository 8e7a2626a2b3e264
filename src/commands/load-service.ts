import { existsSync } from 'node:fs'
import { version } from '../version.js'
import { CommandError } from './io.js'

export type Service = typeof import('./service.js')

/** Package of the service. The package of this module, which hosts attach, has neither its code nor its dependencies. */
const PACKAGE = 'countersign-service'
/** The same code in a checkout, as `npm run build` bundles it. */
const BUNDLE = new URL('../../bundle/service.js', import.meta.url)

/**
 * Loads the commands that need the service.
 *
 * @throws {CommandError} if the service is not installed, or has another version
 */
export async function loadService (): Promise<Service> {
  const service = await import(serviceUrl()) as Service
  if (service.version === version) return service
  throw new CommandError(
    `countersign ${version} cannot run ${PACKAGE} ${service.version}: install the same version of both.`
  )
}

function serviceUrl (): string {
  if (existsSync(BUNDLE)) return BUNDLE.href
  try {
    return import.meta.resolve(PACKAGE)
  } catch {
    throw new CommandError(`This command needs the service, which is not installed: npm install ${PACKAGE}@${version}`)
  }
}
