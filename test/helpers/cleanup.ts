import { cleanUp as cleanUpOnce, type CleanedRows } from '../../src/cleanup/cleanup.js'
import { until } from './wait.js'

/** Runs the cleanup, after that of the app, which may be at it. */
export async function cleanUp (...of: Parameters<typeof cleanUpOnce>): Promise<CleanedRows> {
  return await until('the other cleanup to end', async () => await cleanUpOnce(...of))
}
