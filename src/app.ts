import type { FastifyInstance } from 'fastify'
import type { CountersignOptions } from '../plugins/countersign.js'
import cors from '../plugins/cors.js'
import databasePlugin from '../plugins/database.js'
import jsonOnly from '../plugins/json-only.js'
import mail from '../plugins/mail.js'
import methodNotAllowed from '../plugins/method-not-allowed.js'
import metrics from '../plugins/metrics.js'
import networkLimits from '../plugins/network-limits.js'
import openapi from '../plugins/openapi.js'
import policy from '../plugins/policy.js'
import schemas from '../plugins/schemas.js'
import secondFactor from '../plugins/second-factor.js'
import tokens, { bearerToken } from '../plugins/tokens.js'
import webhook from '../plugins/webhook.js'
import accountRoutes from '../routes/account/index.js'
import adminRoutes from '../routes/admin/index.js'
import mailRoutes from '../routes/mail/index.js'
import siteRoutes from '../routes/site/index.js'
import { originOf } from '../routes/requester.js'
import { TokenPair } from '../routes/schemas.js'
import sessionRoutes from '../routes/session/index.js'
import tokenRoutes from '../routes/token/index.js'
import userRoutes from '../routes/users/index.js'
import wellKnownRoutes from '../routes/well-known/index.js'
import { createGuards, type Guards } from './attach/guard.js'
import { createSecondFactor, type SecondFactor } from './attach/second-factor.js'
import { listening } from './attach/start.js'
import { passkeyPartyOf, type Config } from './config/config.js'
import type { Key } from './core/keys/key-ring.js'
import { DEFAULT_NAMESPACE } from './core/keys/seal.js'
import { readUsername } from './accounts/accounts.js'
import { passwordRuleOf } from './accounts/password-rule.js'
import { ringsOf } from './config/deployment-keys.js'
import { checkPassword, type LoginDeps } from './accounts/log-in.js'
import { createWaiters } from './accounts/waiters.js'
import { createHasher, type Hasher } from './accounts/hasher.js'
import { createSigningKeys, HELD_SECONDS } from './accounts/signing-keys.js'
import { destinationsOf } from './events/outbox.js'
import { createHttp } from './http.js'
import { connectRedis } from './redis/connect.js'
import { noRedis, type RedisLink } from './redis/link.js'
import { mailSettingsOf, senderOptionsOf } from './config/mail.js'
import { registerOps } from './ops.js'
import { registerRevocations } from './revocations.js'
import { traceRequests } from './tracing/request-spans.js'
import { loadTracing } from './tracing/tracing.js'
import { version } from './version.js'

export interface Overrides {
  /** First part of every Redis key, and of the data that seals authenticate. Two deployments on one Redis need two. */
  namespace?: string
  /** Called for each security event of this process, once it is committed. */
  onSecurityEvent?: NonNullable<CountersignOptions['onSecurityEvent']>
  /** For tests: a hasher that a test can hold up. */
  hasher?: Hasher
}

/**
 * Builds the service without listening.
 *
 * @throws the error of the first step that fails, after everything that earlier steps opened is closed
 */
export async function buildApp (config: Config, overrides: Overrides = {}): Promise<FastifyInstance> {
  const app = await createHttp(config)
  try {
    await compose(app, config, overrides)
    return app
  } catch (error) {
    app.leaveAtOnce()
    await app.close()
    throw error
  }
}

/** Parts that the steps share, in the order in which they are created. */
interface Parts {
  config: Config
  namespace: string
  redis: RedisLink
  factor: SecondFactor
  guards: Guards
  login: LoginDeps
}

/** Registers everything, in the order of its dependencies. */
async function compose (app: FastifyInstance, config: Config, overrides: Overrides): Promise<void> {
  const { namespace = DEFAULT_NAMESPACE, onSecurityEvent } = overrides
  const traces = await loadTracing()
  if (traces !== null) traceRequests(app, traces)
  await app.register(methodNotAllowed)
  await app.register(metrics)
  await app.register(schemas)
  await app.register(jsonOnly)
  if (config.corsOrigins.length > 0) await app.register(cors, { origins: config.corsOrigins })
  await app.register(databasePlugin, {
    url: config.databaseUrl,
    dataDir: config.dataDir,
    poolSize: config.databasePoolSize,
    migrate: config.migrate === 'on',
    destinations: destinationsOf(config),
    trace: traces?.statement ?? null
  })
  const { jwtKeys, sealKeys } = await ringsOf(config)
  const redis = config.redisUrl === undefined ? noRedis : connectRedis(config.redisUrl, app.log, traces?.command)
  app.addHook('onClose', async () => { await redis.close() })

  const factor = createFactor(app, { config, namespace, redis, sealKeys, onSecurityEvent })
  await app.register(tokens, {
    algorithm: config.jwtAlg,
    keys: jwtKeys,
    ...(config.jwtAlg === 'EdDSA' ? { signing: publishKeys(app, factor, jwtKeys) } : {}),
    settings: {
      issuer: config.jwtIssuer,
      audience: config.jwtAudience,
      accessSeconds: config.accessSeconds,
      refreshSeconds: config.refreshSeconds
    },
    nowSeconds: factor.sessions.nowSeconds
  })
  const guards = createGuards({
    factor,
    identify (request) {
      const claims = app.tokens.verify('access', bearerToken(request))
      const { sub, sid, otp_device_id: otpDeviceId, otp_time: otpTime, phr_time: phrTime = null } = claims
      return { userId: sub, sessionId: sid, proven: { otpDeviceId, otpTime, phrTime } }
    },
    originOf,
    slot: 'countersign'
  })
  const { db, sessions, digestKey, counters } = factor
  const login: LoginDeps = {
    db,
    hasher: overrides.hasher ?? await createHasher(),
    waiterOf: createWaiters(db, { byAccount: config.networkLimits === 'off' }),
    sessions,
    digestKey,
    lifetimes: lifetimesOf(config),
    counters
  }
  const parts = { config, namespace, redis, factor, guards, login }
  await registerLimits(app, parts)
  const { publicUrl } = config
  await app.register(openapi, { version, isServed: config.docs === 'on', ...(publicUrl === undefined ? {} : { publicUrl }) })
  await registerSecondFactor(app, parts)
  await app.register(policy, { policy: config.otpPolicy, graceDays: config.otpGraceDays })
  if (config.webhookUrl !== undefined) {
    await app.register(webhook, { url: config.webhookUrl, keys: config.webhookKeys!, named: config.webhookPrivate, counters })
  }
  if (config.mailUrl !== undefined) {
    await app.register(mail, { ...senderOptionsOf(config), seal: factor.seal, settings: mailSettingsOf(config), counters })
  }
  await registerRoutes(app, parts)
  await registerOps(app, { config, redis, factor, hasher: login.hasher })
  app.refuseOtherMethods()
}

const lifetimesOf = (config: Config) => ({ sessionSeconds: config.sessionSeconds, pendingSeconds: config.otpPendingSeconds })

/** Publishes the signing keys. @returns a function that says which of them signs */
function publishKeys (app: FastifyInstance, { db }: SecondFactor, keys: readonly Key[]): () => number {
  const isKnownAway = () => app.database.fault() !== null
  const signing = createSigningKeys({
    db,
    keys,
    isKnownAway,
    fatal: (facts, line) => { app.log.fatal(facts, line) },
    held (kid) {
      app.log.info({ kid, seconds: HELD_SECONDS }, 'the first of JWT_KEYS is new: this one signs until other services can know the new one')
    }
  })
  app.addHook('onReady', async () => { await signing.start(!isKnownAway()) })
  app.addHook('onClose', async () => { signing.stop() })
  return signing.current
}

interface FactorParts extends Pick<Parts, 'config' | 'namespace' | 'redis'> {
  sealKeys: readonly Key[]
  onSecurityEvent: Overrides['onSecurityEvent'] | undefined
}

/** Creates the second factor over the service's database. The database plugin checks, migrates and closes that database. */
function createFactor (app: FastifyInstance, { config, namespace, redis, sealKeys, onSecurityEvent }: FactorParts): SecondFactor {
  const { database } = app
  const isKnownAway = () => database.fault() !== null
  return createSecondFactor({
    stores: {
      db: listening(app.log, database, onSecurityEvent),
      pollerDb: database.pollerDb,
      redis,
      schema: undefined,
      isKnownAway,
      prepare: async () => !isKnownAway(),
      close: async () => {}
    },
    sealKeys,
    namespace,
    settings: {
      ...lifetimesOf(config),
      issuer: config.otpIssuer,
      window: config.otpWindow,
      setupSeconds: config.otpSetupSeconds,
      reauthSeconds: config.otpReauthSeconds,
      freshSeconds: config.otpFreshSeconds,
      recoveryCodes: config.otpRecoveryCodes
    },
    revocationSeconds: config.revocationSeconds,
    log: app.log
  })
}

async function registerLimits (app: FastifyInstance, { config, namespace, redis, guards }: Parts): Promise<void> {
  await app.register(networkLimits, {
    redis,
    namespace,
    enabled: config.networkLimits === 'on',
    max: {
      token: config.limitTokenPerMinute,
      signUp: config.limitUsersPerHour,
      enrol: config.limitCreatePerHour,
      code: config.limitCodesPerMinute,
      mail: config.limitMailPerHour,
      other: config.limitOtherPerMinute,
      reads: config.limitOtherPerMinute
    },
    userIdOf: ({ countersign }) => countersign?.userId,
    async isVerified (request) {
      if (request.countersign !== null) return request.countersign.otpDeviceId !== null
      return await guards.find(request).then(({ otpDeviceId }) => otpDeviceId !== null, () => false)
    }
  })
  if (config.networkLimits === 'off') {
    app.log.warn('network limits are off (NETWORK_LIMITS=off): the proxy in front of the service must limit requests per network')
  }
}

async function registerSecondFactor (app: FastifyInstance, { config, factor, guards, login }: Parts): Promise<void> {
  const party = passkeyPartyOf(config)
  const isTrial = config.port === 0 && config.passkeyOrigins.length === 0
  const passkeys = party === undefined ? undefined : { ...party, origins: isTrial ? followPort(app, party.origins) : party.origins }
  await app.register(secondFactor, {
    factor,
    guards,
    label: async (userId) => await readUsername(login.db, userId) ?? userId,
    checkPassword: (request, userId, password) => checkPassword(login, userId, password, originOf(request)),
    complete: (_request, _reply, session) => ({ sessionId: session.sessionId, answer: app.tokens.answer(session) }),
    answerSchema: TokenPair,
    ...(passkeys === undefined ? {} : { passkeys }),
    eventsDays: config.eventsDays,
    deprecatedGets: true,
    limit: app.limit
  })
}

/** Returns the origin of a trial's pages, with the free port that it listens on from then on. */
function followPort (app: FastifyInstance, [unknown = '']: readonly string[]): string[] {
  const origins = [unknown]
  app.addHook('onListen', async () => {
    const address = app.server.address()
    // A Unix socket has no port, and pages reach it by an origin that only a setting can name.
    if (typeof address === 'object' && address !== null) origins[0] = `http://localhost:${address.port}`
  })
  return origins
}

async function registerRoutes (app: FastifyInstance, { config, factor, guards, login }: Parts): Promise<void> {
  const { refreshSeconds, accessSeconds, otpFreshSeconds: freshSeconds } = config
  const { db, hasher, waiterOf } = login
  const passwordRule = passwordRuleOf(config, login.counters, (fault) => {
    app.log.warn(fault, 'the service of breached passwords does not answer: passwords are accepted without it')
  })
  await app.register(tokenRoutes, { prefix: '/token', ...login, refreshSeconds, accessSeconds })
  await app.register(sessionRoutes, { prefix: '/session', guards, addsMethods: true, config: app.limit('reads') })
  if (config.clientKeys !== undefined) await registerRevocations(app, factor, { accessSeconds, keys: config.clientKeys })
  await app.register(userRoutes, { prefix: '/users', db, hasher, waiterOf, passwordRule, isOpen: config.signUp === 'open' })
  await app.register(accountRoutes, {
    prefix: '/account',
    ...login,
    seal: factor.seal,
    mailSeal: config.mailUrl === undefined ? null : factor.seal,
    passwordRule,
    freshSeconds,
    refreshSeconds
  })
  if (config.mailUrl !== undefined) {
    await app.register(mailRoutes, { ...login, seal: factor.seal, passwordRule, paths: mailSettingsOf(config).paths })
  }
  await app.register(adminRoutes, {
    prefix: '/admin', ...factor, needsPasskey: config.staffPasskey === 'required', freshSeconds, refreshSeconds
  })
  await app.register(wellKnownRoutes, { prefix: '/.well-known' })
  if (config.pages === 'on') {
    await app.register(siteRoutes, {
      name: config.otpIssuer,
      signUp: config.signUp === 'open',
      mail: config.mailUrl !== undefined,
      passkeys: passkeyPartyOf(config) !== undefined,
      passwordMinLength: config.passwordMinLength
    })
  } else if (config.docs === 'on') {
    // Relative, for a service below a path of a proxy.
    app.get('/', { schema: { hide: true } }, async (_request, reply) => await reply.redirect('docs'))
  }
}
