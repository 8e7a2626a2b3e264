import { createRequire } from 'node:module'
import cors from '@fastify/cors'
import type { Socket } from 'node:net'
import Fastify, { LogController, type FastifyInstance, type FastifyReply } from 'fastify'
import countersign, { type CountersignOptions } from '../plugins/countersign.js'
import databasePlugin from '../plugins/database.js'
import errors, { errorBody } from '../plugins/errors.js'
import jsonOnly from '../plugins/json-only.js'
import methodNotAllowed from '../plugins/method-not-allowed.js'
import metrics from '../plugins/metrics.js'
import networkLimits from '../plugins/network-limits.js'
import openapi from '../plugins/openapi.js'
import policy from '../plugins/policy.js'
import schemas from '../plugins/schemas.js'
import sweeper from '../plugins/sweeper.js'
import tokens, { bearerToken } from '../plugins/tokens.js'
import webhook from '../plugins/webhook.js'
import accountRoutes from '../routes/account/index.js'
import adminRoutes from '../routes/admin/index.js'
import { originOf } from '../routes/asking.js'
import opsRoutes from '../routes/ops/index.js'
import sessionRoutes from '../routes/session/index.js'
import tokenRoutes from '../routes/token/index.js'
import userRoutes from '../routes/users/index.js'
import wellKnownRoutes from '../routes/well-known/index.js'
import type { Config } from './config.js'
import type { RefusalCode } from './core/refusals.js'
import { DEFAULT_NAMESPACE } from './core/seal.js'
import { readUsername } from './db/accounts.js'
import { ringsOf } from './embedded/keys.js'
import { checkPassword, type LoginDeps } from './flows/log-in.js'
import { createHasher } from './hasher.js'
import { connectRedis, noRedis } from './redis/link.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

/** 16 KiB: the largest thing anybody sends here is a refresh token. */
const BODY_BYTES = 16 * 1024
/** A request has arrived and is answered within this, or is cut off. The sockets are looked at once a second. */
const REQUEST_MS = 9_000
const CHECK_MS = 1_000

export interface Overrides {
  /** First part of every Redis key, and of what is sealed. Two deployments on one Redis need two. */
  namespace?: string
  /** Told of each security event of this process, once it is committed. */
  onSecurityEvent?: NonNullable<CountersignOptions['onSecurityEvent']>
}

/** Builds the service without listening. Read top to bottom: that is the order in which things exist. */
export async function buildApp (config: Config, { namespace = DEFAULT_NAMESPACE, onSecurityEvent }: Overrides = {}): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.logLevel, redact: ['req.headers.authorization', 'req.headers.cookie'] },
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    handlerTimeout: REQUEST_MS,
    http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: CHECK_MS },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
    return503OnClosing: false,
    frameworkErrors: (_error, _request, reply: FastifyReply) => { void reply.code(400).send(errorBody('REQUEST_INVALID', { hint: 'The address cannot be read.' })) },
    clientErrorHandler: answerUnreadable
  })
  await app.register(errors)
  await app.register(methodNotAllowed)
  await app.register(metrics)
  await app.register(schemas)
  await app.register(jsonOnly)
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    done()
  })
  if (config.corsOrigins.length > 0) {
    await app.register(cors, { origin: [...config.corsOrigins], exposedHeaders: ['WWW-Authenticate', 'Retry-After'], methods: ['GET', 'POST', 'PATCH', 'DELETE'], maxAge: 600 })
  }

  await app.register(databasePlugin, {
    url: config.databaseUrl,
    dataDir: config.dataDir,
    poolSize: config.databasePoolSize,
    migrate: config.migrate === 'on',
    notifies: config.webhookUrl !== undefined
  })
  const { jwtKeys, sealKeys } = await ringsOf(config)
  const redis = config.redisUrl === undefined ? noRedis : connectRedis(config.redisUrl, app.log)
  app.addHook('onClose', async () => { await redis.close() })
  await app.register(networkLimits, { redis, namespace, enabled: config.networkLimits === 'on', userIdOf: ({ countersign }) => countersign?.userId })
  if (config.networkLimits === 'off') app.log.warn('NETWORK_LIMITS=off: whoever is in front of this must limit requests per network')
  await app.register(tokens, {
    algorithm: config.jwtAlg,
    keys: jwtKeys,
    settings: { issuer: config.jwtIssuer, audience: config.jwtAudience, accessSeconds: config.accessSeconds, refreshSeconds: config.refreshSeconds },
    nowSeconds: () => app.countersign.sessions.nowSeconds()
  })

  const { database } = app
  const hasher = await createHasher()
  const lifetimes = { sessionSeconds: config.sessionSeconds, pendingSeconds: config.otpPendingSeconds }
  await app.register(openapi, { version })
  await app.register(countersign, {
    issuer: config.otpIssuer,
    sealKeys,
    namespace,
    db: database,
    feedDb: database.feedDb,
    redis,
    settings: {
      ...lifetimes,
      window: config.otpWindow,
      setupSeconds: config.otpSetupSeconds,
      reauthSeconds: config.otpReauthSeconds,
      freshSeconds: config.otpFreshSeconds,
      recoveryCodes: config.otpRecoveryCodes
    },
    revocationSeconds: config.revocationSeconds,
    identify (request) {
      const { sub, sid, otp_device_id: otpDeviceId, otp_time: otpTime } = app.tokens.verify('access', bearerToken(request))
      return { userId: sub, sessionId: sid, proven: { otpDeviceId, otpTime } }
    },
    label: async (userId) => await readUsername(database, userId) ?? userId,
    checkPassword: (request, userId, password) => checkPassword(loginDeps, userId, password, originOf(request)),
    complete: async (_request, _reply, session) => app.tokens.issue(session),
    deprecatedGets: true,
    limit: app.limit,
    ...(onSecurityEvent === undefined ? {} : { onSecurityEvent })
  })
  await app.register(policy, { policy: config.otpPolicy, graceDays: config.otpGraceDays })
  if (config.webhookUrl !== undefined) {
    await app.register(webhook, { url: config.webhookUrl, keys: config.webhookKeys!, isPrivateAllowed: config.webhookPrivate === 'on' })
  }
  await app.register(sweeper, { eventsDays: config.eventsDays })
  const { db, sessions, seal, digestKey, tally, locks } = app.countersign
  const loginDeps: LoginDeps = { db, hasher, sessions, digestKey, lifetimes, tally }

  await app.register(tokenRoutes, { prefix: '/token', ...loginDeps, refreshSeconds: config.refreshSeconds })
  await app.register(sessionRoutes, { prefix: '/session' })
  await app.register(userRoutes, { prefix: '/users', db, hasher, passwordMinLength: config.passwordMinLength, isOpen: config.signUp === 'open' })
  await app.register(accountRoutes, {
    prefix: '/account',
    ...loginDeps,
    seal,
    passwordMinLength: config.passwordMinLength,
    freshSeconds: config.otpFreshSeconds,
    refreshSeconds: config.refreshSeconds
  })
  await app.register(adminRoutes, {
    prefix: '/admin',
    db,
    digestKey,
    sessions,
    locks,
    tally,
    freshSeconds: config.otpFreshSeconds,
    refreshSeconds: config.refreshSeconds
  })
  await app.register(wellKnownRoutes, { prefix: '/.well-known' })

  const readiness = () => ({
    postgres: database.isMigrated() && sessions.state().isFeedFresh ? 'up' as const : 'down' as const,
    redis: redis.state
  })
  describeState(app, { hasher, redis: () => redis.state })
  await app.register(opsRoutes, { readiness, metrics: config.opsPort === undefined ? () => app.metrics.text() : null })
  app.refuseOtherMethods()
  return app
}

/** `/metrics` on a port of its own, with the probes, for whoever must not reach it from outside. */
export function buildOps (app: FastifyInstance): FastifyInstance {
  const ops = Fastify({ logger: false })
  ops.get('/metrics', async (_request, reply) => {
    const { type, text } = await app.metrics.text()
    return await reply.type(type).send(text)
  })
  for (const url of ['/livez', '/readyz']) {
    ops.get(url, async (_request, reply) => {
      const { statusCode, body, headers } = await app.inject({ url })
      return await reply.code(statusCode).type(String(headers['content-type'])).send(body)
    })
  }
  return ops
}

/** What the process knows of itself, read at scrape. */
function describeState (app: FastifyInstance, { hasher, redis }: { hasher: Awaited<ReturnType<typeof createHasher>>, redis: () => string }): void {
  const { metrics, database } = app
  const { sessions, tally } = app.countersign
  metrics.tally(tally)
  metrics.gauge('feed_age_seconds', 'Since the feed of ended sessions was last read', () => sessions.state().feedAgeSeconds)
  metrics.gauge('sessions_remembered', 'Sessions this process knows to be alive', () => sessions.state().remembered)
  metrics.counter('session_reads_memo_total', 'Sessions found in the process', () => sessions.state().memo)
  metrics.counter('session_reads_redis_total', 'Sessions found in Redis', () => sessions.state().copy)
  metrics.counter('session_reads_postgres_total', 'Sessions asked of PostgreSQL', () => sessions.state().postgres)
  metrics.gauge('hashes_waiting', 'Passwords that wait to be hashed', () => hasher.state().waiting)
  metrics.gauge('pool_waiting', 'Statements that wait for a connection', () => database.stats().waiting)
  metrics.gauge('redis_up', '1 if Redis answers', () => redis() === 'up' ? 1 : 0)
}

/** What Node could not parse never reaches a route: answered here, in the same shape. */
function answerUnreadable (error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const codes: Record<string, RefusalCode> = { HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE', ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT' }
  const body = errorBody(codes[error.code ?? ''] ?? 'REQUEST_INVALID')
  const text = JSON.stringify(body)
  if (!socket.writable) return
  socket.end(`HTTP/1.1 ${body.statusCode} ${body.error}\r\ncontent-type: application/json; charset=utf-8\r\n` +
    `cache-control: no-store\r\nx-content-type-options: nosniff\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`)
}
