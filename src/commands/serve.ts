import closeWithGrace from 'close-with-grace'
import { buildApp, buildOps } from '../app.js'
import type { Config } from '../config.js'

/** Longer than any request may take: those under way are answered. */
const DRAIN_MS = 10_000

/** Listens, until a signal: then answers what is under way, and closes. */
export async function serve (config: Config): Promise<void> {
  const app = await buildApp(config)
  const ops = config.opsPort === undefined ? null : buildOps(app)
  closeWithGrace({ delay: DRAIN_MS, logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') } }, async ({ err, signal }) => {
    if (err !== undefined) app.log.fatal({ err }, 'unexpected')
    else app.log.info({ signal }, 'closing')
    await Promise.all([app.close(), ops?.close()])
  })
  await app.listen({ port: config.port, host: config.host })
  await ops?.listen({ port: config.opsPort!, host: config.host })
}
