import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../app.js'
import { buildOps } from '../../ops.js'
import { servesOps, type Config, type Note } from '../../config/config.js'
import { storeOf, trialNotice } from '../../config/store.js'
import { DRAIN_MS } from '../../timing/limits.js'
import { bannerOf } from './banner.js'
import { listen } from './listen.js'

/**
 * Stopping `npm start` often sends two signals: Ctrl-C and systemd signal npm and the server, and npm forwards its signal.
 * Signals within this time count as one; a later one means "now".
 */
const ONE_SIGNAL_MS = 500
/** No event tells that the parent process has ended. */
const PARENT_CHECK_MS = 200

export interface ServeOptions {
  /** True to end with the parent process: a signal to `npx` ends npx and its shell, and does not reach the command. */
  endsWithParent?: boolean
  /** True if a person reads the output: six lines in place of the log below `warn`, unless LOG_LEVEL asks for less or more. */
  isTerminal?: boolean
}

/** Level of the log for machines. */
const LOG_LEVEL = 'info'

/**
 * Listens until a signal arrives, then answers the running requests and closes.
 *
 * @param notes about the configuration, for the log
 * @throws {ConfigError} if it cannot listen; everything is then closed
 */
export async function serve (
  given: Config, notes: readonly Note[] = [], { endsWithParent = false, isTerminal = false }: ServeOptions = {}
): Promise<void> {
  const showsLines = isTerminal && given.logLevel === LOG_LEVEL
  const config: Config = showsLines ? { ...given, logLevel: 'warn' } : given
  // The local cache of sessions lives for a quarter of an hour or two. By default, V8 lets the heap grow to several times this size
  // before it collects old entries.
  setFlagsFromString('--heap-growing-percent=30')
  const app = await buildApp(config)
  for (const { level, text } of notes) app.log[level](text)
  const ops = !servesOps(config) ? null : await buildOps(app, config).catch((error: unknown) => closing(error, app))
  // Without open handles the process would end with 0 and ignore the exit code.
  const end = closeWithGrace({
    delay: DRAIN_MS,
    skip: ['SIGTERM', 'SIGINT', 'beforeExit'],
    logger: { error: (error: unknown) => app.log.error({ err: error }, 'closing') }
  }, async ({ err }) => {
    if (err !== undefined) app.log.fatal({ err }, 'unexpected')
    await Promise.all([app.close(), ops?.close()])
  })
  const leave = onEnd((signal) => {
    app.log.info({ signal }, 'closing')
    // On Ctrl-C a person waits for the end, and no load balancer waits for /readyz to change.
    if (signal === 'SIGINT') for (const one of [app, ops]) one?.leaveAtOnce()
    end.close()
  })
  if (endsWithParent) onParentEnd(() => { leave('SIGTERM') })
  try {
    await listen(app, { host: config.host, port: config.port, hostVariable: 'HOST', portVariable: 'PORT' })
    if (ops !== null) {
      await listen(ops, { host: config.opsHost, port: config.opsPort ?? 0, hostVariable: 'OPS_HOST', portVariable: 'OPS_PORT' })
    }
  } catch (error) {
    await closing(error, app, ops)
  }
  if (showsLines) for (const line of bannerOf(config, portOf(app))) console.log(line)
  else nameStore(app, config)
}

/** Returns the port, which PORT=0 leaves to the system; 0 for a Unix socket. */
function portOf (app: FastifyInstance): number {
  const address = app.server.address()
  return typeof address === 'object' ? address?.port ?? 0 : 0
}

/**
 * Closes everything after a failed start.
 *
 * @throws the error
 */
async function closing (error: unknown, ...apps: Array<FastifyInstance | null>): Promise<never> {
  for (const one of apps) one?.leaveAtOnce()
  await Promise.all(apps.map((one) => one?.close()))
  throw error
}

/** Logs the database in one line at the start of the log, because a service on a wrong database looks like a right one. */
function nameStore (app: FastifyInstance, config: Config): void {
  const store = storeOf(config)
  const notice = trialNotice(store)
  const text = `store: ${store.name}, ${config.redisUrl === undefined ? 'without' : 'with'} Redis`
  if (notice === undefined) app.log.info(text)
  else app.log.warn(`${text}. ${notice}`)
}

/**
 * Calls `leave` at the first signal to end. A later signal, which is not a copy of the first, ends the process.
 *
 * @returns a function that has the effect of a signal
 */
function onEnd (leave: (signal: NodeJS.Signals) => void): (signal: NodeJS.Signals) => void {
  let firstAtMs: number | undefined
  const handle = (signal: NodeJS.Signals) => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now()
      leave(signal)
    } else if (performance.now() - firstAtMs > ONE_SIGNAL_MS) process.exit(1)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => { handle(signal) })
  return handle
}

function onParentEnd (leave: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    leave()
  }, PARENT_CHECK_MS)
  timer.unref()
}
