import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp, buildOps } from '../app.js'
import { servesOps, type Config, type Note } from '../config/config.js'
import { storeOf, trialNotice } from '../config/store.js'
import { listen } from './listen.js'

/** Longer than any request may take: those under way are answered. */
const DRAIN_MS = 10_000
/**
 * Who stops `npm start` often signals twice: Ctrl-C and systemd reach npm and us, and npm passes it on. Within this it
 * is one signal; a later one means "now".
 */
const ONE_SIGNAL_MS = 500

/**
 * Listens, until a signal: then answers what is under way, and closes.
 *
 * @param notes about the configuration, for the log
 * @throws ConfigError where there is nothing to listen on; all is closed by then
 */
export async function serve (config: Config, notes: readonly Note[] = []): Promise<void> {
  // What is known of sessions lives for a minute or two: left alone, V8 lets the heap grow to several times of it before it looks for what is over.
  setFlagsFromString('--heap-growing-percent=30')
  const app = await buildApp(config)
  for (const { level, text } of notes) app.log[level](text)
  const ops = !servesOps(config) ? null : await buildOps(app, config).catch((error: unknown) => closing(error, app))
  // Where nothing is open any more it would end with 0, whatever the exit code that somebody has set.
  const end = closeWithGrace({
    delay: DRAIN_MS,
    skip: ['SIGTERM', 'SIGINT', 'beforeExit'],
    logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') }
  }, async ({ err }) => {
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
    await listen(app, { host: config.host, port: config.port, hostVariable: 'HOST', portVariable: 'PORT' })
    if (ops !== null) {
      await listen(ops, { host: config.opsHost, port: config.opsPort ?? 0, hostVariable: 'OPS_HOST', portVariable: 'OPS_PORT' })
    }
  } catch (error) {
    await closing(error, app, ops)
  }
  nameStore(app, config)
}

/** A start that fails leaves nothing open. @throws the error */
async function closing (error: unknown, ...apps: Array<FastifyInstance | null>): Promise<never> {
  for (const one of apps) one?.leaveAtOnce()
  await Promise.all(apps.map((one) => one?.close()))
  throw error
}

/** In one line, at the first look at the log: a service on the wrong database answers like one on the right. */
function nameStore (app: FastifyInstance, config: Config): void {
  const store = storeOf(config)
  const notice = trialNotice(store)
  const text = `store: ${store.name}, ${config.redisUrl === undefined ? 'without' : 'with'} Redis`
  if (notice === undefined) app.log.info(text)
  else app.log.warn(`${text}. ${notice}`)
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
