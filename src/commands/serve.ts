import closeWithGrace from 'close-with-grace'
import { buildApp, buildOps } from '../app.js'
import { ConfigError, type Config } from '../config.js'

/** Longer than any request may take: those under way are answered. */
const DRAIN_MS = 10_000

/** What listening fails with, as the setting that asked for it. */
const listening: Record<string, readonly [host: string, must: string]> = {
  EADDRINUSE: ['PORT', 'be one that nobody listens on'],
  EACCES: ['PORT', 'be one that this user may listen on'],
  EADDRNOTAVAIL: ['HOST', 'be an address of this machine'],
  ENOTFOUND: ['HOST', 'be an address of this machine'],
  EAI_AGAIN: ['HOST', 'be an address of this machine']
}

/**
 * Listens, until a signal: then answers what is under way, and closes.
 *
 * @throws ConfigError where there is nothing to listen on
 */
export async function serve (config: Config): Promise<void> {
  const app = await buildApp(config)
  const ops = config.opsPort === undefined ? null : await buildOps(app, config)
  closeWithGrace({ delay: DRAIN_MS, logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') } }, async ({ err, signal }) => {
    if (err !== undefined) app.log.fatal({ err }, 'unexpected')
    else app.log.info({ signal }, 'closing')
    await Promise.all([app.close(), ops?.close()])
  })
  await listen(app, config.port, config.host)
  if (ops !== null && config.opsPort !== undefined) await listen(ops, config.opsPort, config.host, true)
}

async function listen (app: Awaited<ReturnType<typeof buildApp>>, port: number, host: string, isOps = false): Promise<void> {
  await app.listen({ port, host }).catch((error: unknown) => {
    const [variable, must] = listening[(error as NodeJS.ErrnoException).code ?? ''] ?? []
    throw variable === undefined || must === undefined ? error : new ConfigError(isOps && variable === 'PORT' ? 'OPS_PORT' : variable, must)
  })
}
