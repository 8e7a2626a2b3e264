import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { LogController, type FastifyInstance, type FastifyReply } from 'fastify'
import errors, { errorBody } from '../plugins/errors.js'
import type { Config } from './config/config.js'
import { Refusal, type RefusalCode } from './core/refusals.js'
import { describeError } from './log.js'
import { trustProxies } from './config/trusted-proxies.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether it was told to end: it serves, but not for long. */
    isLeaving: () => boolean
    /** Lets the next `close` skip the time in which it serves on. */
    leaveAtOnce: () => void
  }
}

/** 16 KiB: the largest thing anybody sends here is a refresh token. */
const BODY_BYTES = 16 * 1024
/** A request has arrived and is answered within this, or is cut off. The sockets are looked at once a second. */
const REQUEST_MS = 9_000
const CHECK_MS = 1_000
const KEEP_ALIVE_SECONDS = 72
const IDLE_CHECK_MS = 100
/** For so long it serves on when it is told to end: within it a proxy has used, and so closed, the connections that it keeps. */
const LEAVING_MS = 3_000

/** On every answer; what may be kept says so itself. */
const ALWAYS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }

export type HttpSettings = Pick<Config, 'logLevel' | 'trustedProxies'> & Partial<Pick<Config, 'keepAliveSeconds'>>

/** What both ports have in common: limits of time and size, one shape of errors, also for what no route ever sees. */
export async function createHttp (settings: HttpSettings, requestMs = REQUEST_MS): Promise<FastifyInstance> {
  const { logLevel, trustedProxies, keepAliveSeconds = KEEP_ALIVE_SECONDS } = settings
  const app = Fastify({
    logger: { level: logLevel, serializers: { err: describeError } },
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustProxies(trustedProxies),
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: keepAliveSeconds * 1000,
    // Migrations wait for other replicas', and a first start on a busy machine for the embedded database: as long as it takes.
    pluginTimeout: 0,
    http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: CHECK_MS, requireHostHeader: false },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
    return503OnClosing: false,
    frameworkErrors: (_error, _request, reply: FastifyReply) => { void reply.code(400).headers(ALWAYS).send(errorBody('REQUEST_INVALID', { hint: 'The address cannot be read.' })) },
    clientErrorHandler: answerUnreadable
  })
  await app.register(errors)
  giveUpInTime(app, requestMs)
  app.addHook('onRequest', ({ raw }, reply, done) => {
    reply.headers(ALWAYS)
    // Node would refuse this itself, without a body.
    done(raw.headers.host === undefined && raw.httpVersion !== '1.0' ? new Refusal('REQUEST_INVALID', { hint: 'There is no Host header.' }) : undefined)
  })
  // An expectation that Node does not know may be ignored (RFC 9110 §10.1.1); Node would answer 417 without a body.
  app.server.on('checkExpectation', app.routing)
  leaveInSteps(app)
  return app
}

/**
 * Whatever a handler waits for. Not Fastify's `handlerTimeout`, which stops its clock when a body was read: it takes that for the
 * end of the request, and makes a DOMException of it each time.
 */
function giveUpInTime (app: FastifyInstance, requestMs: number): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    const timer = setTimeout(() => {
      if (reply.sent) return
      // What is still on its way is not worth the wait, and must not be read as the next request.
      if (!raw.complete) void reply.header('connection', 'close')
      void reply.send(raw.complete ? new Refusal('UNAVAILABLE', {}, { cause: new Error(`not answered within ${requestMs} ms`) }) : new Refusal('REQUEST_TIMEOUT'))
    }, requestMs)
    reply.raw.once('close', () => { clearTimeout(timer) })
    done()
  })
}

/**
 * In three steps. First it serves on, says on /readyz that it will not for long, and asks each client to close (Fastify
 * does): a proxy that keeps connections must not send a request into one that closes at that moment. Then it listens no
 * more, and closes what is idle or falls idle. At last it cuts off what takes too long: when it listens no more, Node
 * stops looking for that, and counts a connection that never asked anything as busy.
 */
function leaveInSteps (app: FastifyInstance): void {
  let idle: NodeJS.Timeout | undefined
  let overdue: NodeJS.Timeout | undefined
  let isLeaving = false
  let servesOnMs = LEAVING_MS
  app.decorate('isLeaving', () => isLeaving)
  app.decorate('leaveAtOnce', () => { servesOnMs = 0 })
  app.addHook('preClose', async () => {
    isLeaving = true
    overdue = setTimeout(() => app.server.closeAllConnections(), REQUEST_MS)
    if (app.server.listening) await delay(servesOnMs)
    idle = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS)
  })
  app.addHook('onClose', async () => {
    clearInterval(idle)
    clearTimeout(overdue)
  })
}

/** What Node could not parse never reaches a route: answered here, in the same shape. */
function answerUnreadable (error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
  const codes: Record<string, RefusalCode> = { HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE', ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT' }
  const body = errorBody(codes[error.code ?? ''] ?? 'REQUEST_INVALID')
  const text = JSON.stringify(body)
  const headers = { ...ALWAYS, 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${body.statusCode} ${body.error}\r\n${lines}\r\n${text}`)
}
