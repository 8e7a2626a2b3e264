import closeWithGrace from 'close-with-grace'
import { buildApp, buildOps } from './app.js'
import { ConfigError, readConfig } from './config.js'
import { DataDirInUseError } from './embedded/lock.js'

/** Longer than any request may take: those under way are answered. */
const DRAIN_MS = 10_000

try {
  const config = readConfig(process.env)
  const app = await buildApp(config)
  const ops = config.opsPort === undefined ? null : buildOps(app)
  closeWithGrace({ delay: DRAIN_MS, logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') } }, async ({ err, signal }) => {
    if (err !== undefined) app.log.fatal({ err }, 'unexpected')
    else app.log.info({ signal }, 'closing')
    await Promise.all([app.close(), ops?.close()])
  })
  await app.listen({ port: config.port, host: config.host })
  await ops?.listen({ port: config.opsPort!, host: config.host })
} catch (error) {
  // What the operator can mend is one line; anything else shows where it came from.
  const plain = error instanceof ConfigError || error instanceof DataDirInUseError || (error as { code?: string }).code === 'EADDRINUSE'
  console.error(plain ? (error as Error).message : error)
  process.exit(1)
}
