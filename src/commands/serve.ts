import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { buildApp, buildOps } from '../app.js'
import { ConfigError, type Config } from '../config.js'

/** Longer than any request may take: those under way are answered. */
const DRAIN_MS = 10_000
/**
 * Who stops `npm start` often signals twice: Ctrl-C and systemd reach npm and us, and npm passes it on. Within this it
 * is one signal; a later one means "now".
 */
const ONE_SIGNAL_MS = 500

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
 * @throws ConfigError where there is nothing to listen on; all is closed by then
 */
export async function serve (config: Config): Promise<void> {
  // What is known of sessions lives for a minute or two: left alone, V8 lets the heap grow to several times of it before it looks for what is over.
  setFlagsFromString('--heap-growing-percent=30')
  const app = await buildApp(config)
  const ops = config.opsPort === undefined ? null : await buildOps(app, config)
  // Where nothing is open any more it would end with 0, whatever the exit code that somebody has set.
  const end = closeWithGrace({ delay: DRAIN_MS, skip: ['SIGTERM', 'SIGINT', 'beforeExit'], logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') } }, async ({ err }) => {
    if (err !== undefined) app.log.fatal({ err }, 'unexpected')
    await Promise.all([app.close(), ops?.close()])
  })
  onEnd((signal) => {
    app.log.info({ signal }, 'closing')
    // Ctrl-C: whoever sits at the terminal waits for the end, and no proxy for a sign of it.
    if (signal === 'SIGINT') for (const one of [app, ops]) one?.leaveAtOnce()
    end.close()
  })
  try {
    await listen(app, config.port, config.host)
    if (ops !== null && config.opsPort !== undefined) await listen(ops, config.opsPort, config.host, true)
  } catch (error) {
    for (const one of [app, ops]) one?.leaveAtOnce()
    await Promise.all([app.close(), ops?.close()])
    throw error
  }
}

/** Tells of the first signal to end; a second one that is not the same ends the process. */
function onEnd (leave: (signal: NodeJS.Signals) => void): void {
  let firstAtMs: number | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now()
        leave(signal)
      } else if (performance.now() - firstAtMs > ONE_SIGNAL_MS) process.exit(1)
    })
  }
}

async function listen (app: Awaited<ReturnType<typeof buildApp>>, port: number, host: string, isOps = false): Promise<void> {
  await app.listen({ port, host }).catch((error: unknown) => {
    const [variable, must] = listening[(error as NodeJS.ErrnoException).code ?? ''] ?? []
    throw variable === undefined || must === undefined ? error : new ConfigError(isOps && variable === 'PORT' ? 'OPS_PORT' : variable, must)
  })
}
