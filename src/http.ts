import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { LogController, type FastifyInstance, type FastifyReply } from 'fastify'
import { errorBody } from '../routes/error-body.js'
import errors from '../plugins/errors.js'
import type { Config } from './config/config.js'
import { BODY_BYTES } from './core/body-limit.js'
import { Refusal, type RefusalCode } from './core/refusals.js'
import { LEAVING_MS, REQUEST_CHECK_MS, REQUEST_MS } from './timing/limits.js'
import { describeError } from './log.js'
import { trustProxies } from './config/trusted-proxies.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** True after the process was told to end: it still serves, but not for long. */
    isLeaving: () => boolean
    /** Calls back at once when the process is told to end, before the time in which it serves on. */
    onLeaving: (call: () => void) => void
    /** Makes the next `close` skip the time in which the app serves on. */
    leaveAtOnce: () => void
  }
}

const KEEP_ALIVE_SECONDS = 72
const IDLE_CHECK_MS = 100
/** How late a request may be found overdue: those of so short a time are given up together. */
const OVERDUE_CHECK_MS = 100
/** Time for a client to read the answer to a request that could not be parsed, and to close. */
const LAST_ANSWER_MS = 1_000

/** Id of a request, by which an answer is found in the log. */
const REQUEST_ID = 'x-request-id'
/** Headers of every answer. A route whose answer may be cached replaces `cache-control`. */
const ALWAYS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }

export type HttpSettings = Pick<Config, 'logLevel' | 'trustedProxies'> & Partial<Pick<Config, 'keepAliveSeconds'>>

/** Builds the base of both ports: limits of time and size, and one shape of errors, also for requests that reach no route. */
export async function createHttp (settings: HttpSettings, requestMs = REQUEST_MS): Promise<FastifyInstance> {
  const { logLevel, trustedProxies, keepAliveSeconds = KEEP_ALIVE_SECONDS } = settings
  const app = Fastify({
    logger: { level: logLevel, serializers: { err: describeError } },
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustProxies(trustedProxies),
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: keepAliveSeconds * 1000,
    // No limit: migrations wait for other replicas, and a first start on a busy machine waits for the embedded database.
    pluginTimeout: 0,
    http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_CHECK_MS, requireHostHeader: false },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
    return503OnClosing: false,
    // Ids of two processes, or of one before and after a start, must differ.
    genReqId: () => randomUUID(),
    frameworkErrors: (_error, request, reply: FastifyReply) => {
      const { headers, code, details } = new Refusal('REQUEST_INVALID', { hint: { key: 'addressUnreadable' } })
      const body = { ...errorBody(code, details), requestId: request.id }
      void reply.code(400).headers({ ...ALWAYS, ...headers, [REQUEST_ID]: request.id }).send(body)
    },
    clientErrorHandler: answerUnreadable
  })
  await app.register(errors)
  giveUpInTime(app, requestMs)
  app.addHook('onRequest', ({ id, raw }, reply, done) => {
    reply.headers(ALWAYS).header(REQUEST_ID, id)
    // Node would refuse this itself, without a body.
    const lacksHost = raw.headers.host === undefined && raw.httpVersion !== '1.0'
    done(lacksHost ? new Refusal('REQUEST_INVALID', { hint: { key: 'noHost' } }) : undefined)
  })
  // An expectation that Node does not know may be ignored (RFC 9110 §10.1.1); Node would answer 417 without a body.
  app.server.on('checkExpectation', app.routing)
  leaveInSteps(app)
  return app
}

/**
 * Limits the time of each handler. Not by Fastify's `handlerTimeout`: that one stops its clock when the body was read, which it
 * takes for the end of the request, and makes a DOMException each time. One timer watches all requests, because a timer and a
 * listener for each of them would cost as much as the look-up of its session. It is set for the oldest of them alone: an interval
 * would wake an idle process.
 */
function giveUpInTime (app: FastifyInstance, requestMs: number): void {
  /** Requests without an answer, the oldest first, by the time at which it is overdue. */
  const overdueAtMs = new Map<FastifyReply, number>()
  let timer: NodeJS.Timeout | undefined

  function giveUp (reply: FastifyReply): void {
    if (reply.sent || reply.raw.destroyed) return
    const { raw } = reply.request
    // The rest of a body that is still arriving must not be read as the next request.
    if (!raw.complete) void reply.header('connection', 'close')
    void reply.send(raw.complete
      ? new Refusal('UNAVAILABLE', {}, { cause: new Error(`not answered within ${requestMs} ms`) })
      : new Refusal('REQUEST_TIMEOUT'))
  }

  function look (): void {
    timer = undefined
    const nowMs = performance.now()
    for (const [reply, atMs] of overdueAtMs) {
      if (atMs > nowMs) return watch(Math.max(atMs - nowMs, OVERDUE_CHECK_MS))
      overdueAtMs.delete(reply)
      giveUp(reply)
    }
  }

  function watch (ms: number): void {
    timer ??= setTimeout(look, ms).unref()
  }

  app.addHook('onRequest', (_request, reply, done) => {
    overdueAtMs.set(reply, performance.now() + requestMs)
    watch(requestMs)
    done()
  })
  // A request that its client broke off has no response. It is forgotten when it is overdue.
  app.addHook('onResponse', (_request, reply, done) => {
    overdueAtMs.delete(reply)
    done()
  })
  app.addHook('onClose', async () => { clearTimeout(timer) })
}

/**
 * Ends in three steps. First the app serves on, /readyz says that it is about to end, and Fastify asks each client to close: a
 * proxy that keeps connections must not send a request into a connection that closes at that moment. Then the app stops
 * listening, and closes connections that are idle or become idle. At last it cuts off connections that take too long: Node
 * stops checking for them when it stops listening, and counts a connection without any request as busy.
 */
function leaveInSteps (app: FastifyInstance): void {
  let idle: NodeJS.Timeout | undefined
  let overdue: NodeJS.Timeout | undefined
  let isLeaving = false
  let servesOnMs = LEAVING_MS
  app.decorate('isLeaving', () => isLeaving)
  const calls: Array<() => void> = []
  app.decorate('onLeaving', (call) => { calls.push(call) })
  app.decorate('leaveAtOnce', () => { servesOnMs = 0 })
  app.addHook('preClose', async () => {
    isLeaving = true
    for (const call of calls) call()
    overdue = setTimeout(() => app.server.closeAllConnections(), REQUEST_MS)
    if (app.server.listening) await delay(servesOnMs)
    idle = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS)
  })
  app.addHook('onClose', async () => {
    clearInterval(idle)
    clearTimeout(overdue)
  })
}

/**
 * Answers requests that Node could not parse, which reach no route, in the same shape as all errors. Then the connection is cut off:
 * Node leaves it half open, for as long as the client does not close it. Behind an answer that has begun, the connection is cut off at
 * once: another answer would stand among its chunks.
 */
function answerUnreadable (error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
  if (isAnswering(socket)) {
    socket.destroy()
    return
  }
  const codes: Record<string, RefusalCode> = { HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE', ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT' }
  const requestId = randomUUID()
  const { headers: own, code } = new Refusal(codes[error.code ?? ''] ?? 'REQUEST_INVALID')
  const body = { ...errorBody(code), requestId }
  const text = JSON.stringify(body)
  const headers = {
    ...ALWAYS,
    ...own,
    [REQUEST_ID]: requestId,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    connection: 'close'
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${body.statusCode} ${body.error}\r\n${lines}\r\n${text}`)
  setTimeout(() => { socket.destroy() }, LAST_ANSWER_MS).unref()
}

/** True if an answer has begun and not ended. Node itself decides by the same member before it answers such a request. */
function isAnswering (socket: Socket & { _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true
}
