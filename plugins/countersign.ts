import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import totpRoutes from '../routes/totp/index.js'
import { shortfall, type Demand, type Standing } from '../src/core/assurance.js'
import type { SecurityEventNotice } from '../src/core/notices.js'
import { Refusal } from '../src/core/refusals.js'
import { createSeal, type Seal } from '../src/core/seal.js'
import type { SessionFacts } from '../src/core/session.js'
import { createDigestKey } from '../src/db/digest-key.js'
import type { Db } from '../src/db/tables.js'
import { watched } from '../src/db/watch.js'
import type { OtpDeps, OtpSettings } from '../src/flows/deps.js'
import { createLocks, type Locks } from '../src/flows/locks.js'
import type { Key } from '../src/key-ring.js'
import { createJudgedCodes } from '../src/redis/judged-codes.js'
import { noRedis, type RedisLink } from '../src/redis/link.js'
import { createSessions, type Sessions } from '../src/sessions/sessions.js'
import { createTally, type Tally } from '../src/tally.js'
import jsonOnly from './json-only.js'
import schemas from './schemas.js'

/** Who asks, in the host's words. */
export interface Identity {
  userId: string
  sessionId: string
  /**
   * What the host's own signed token says was proven when it was issued, if it says so: a token from before a step-up
   * then stays as old as it is.
   */
  proven?: { otpDeviceId: string | null, otpTime: number | null }
}

export interface CountersignOptions {
  /** Shown in authenticator apps; no colon. */
  issuer: string
  /** The first one seals, all open. */
  sealKeys: readonly Key[]
  /** In Redis keys and in what is sealed: two apps on one Redis, or with one key, do not meet. */
  namespace: string
  db: Db
  /** A connection of the feed's own; the same as `db` if there is none. */
  feedDb?: Db
  redis?: RedisLink
  /** Where the routes are; `/totp` by default. */
  prefix?: string
  settings: Omit<OtpSettings, 'issuer'>
  revocationSeconds: number
  /** Null, or a Refusal of the host's own choice, for nobody. */
  identify: (request: FastifyRequest) => Identity | null | Promise<Identity | null>
  /** What the authenticator app shows beside the issuer. */
  label: (userId: string) => Promise<string>
  /** Whether the password that came with `create` is right; throws if not. Without it, `create` takes none. */
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void>
  /** What the client gets for a session that began or went on: its tokens, say. */
  complete: (request: FastifyRequest, reply: FastifyReply, session: SessionFacts) => Promise<object>
  /** GET twins of what changes something, for the clients of the reference system. Off for anybody new. */
  deprecatedGets?: boolean
  /** Budget names for the host's limiter, by `config.limit`. */
  limit?: (name: 'code' | 'enrol') => object
  /**
   * Told of each security event that was decided by this process, once it is committed. Nobody waits for it; what it
   * throws is logged. An event may be missed when the process or Postgres goes down right then: WEBHOOK_URL's outbox
   * misses none.
   */
  onSecurityEvent?: (event: SecurityEventNotice) => void | Promise<void>
}

/** Between two tries while Postgres does not answer. */
const KEY_RETRY_MS = 250

type GuardHook = onRequestHookHandler

/**
 * A preHandler as it stands, or a maker of one:
 * `{ preHandler: app.otpVerified }`, `app.otpVerified({ maxAge: 300, required: true })`.
 */
export interface OtpVerified extends GuardHook {
  (demand: Demand): GuardHook
}

export interface Countersign {
  /** What was handed in; what is decided through it is told to `onSecurityEvent`. */
  db: Db
  /** Whether Postgres answers, and what the keys of this process open is opened. */
  isReady (): boolean
  sessions: Sessions
  /** For other secrets of the host's users: one ring of keys for all that is sealed. */
  seal: Seal
  digestKey: () => Promise<Buffer>
  tally: Tally
  locks: Locks
  /** A hook that lets live sessions in, verified or not. */
  session: GuardHook
}

declare module 'fastify' {
  interface FastifyInstance {
    otpVerified: OtpVerified
    countersign: Countersign
  }
  interface FastifyRequest {
    /** The session that asks, once a guard has let it in. */
    countersign: Standing | null
  }
}

/** The host's database, whose events are told to the host if it asks for that. */
function listening (app: FastifyInstance, { db, onSecurityEvent }: CountersignOptions): Db {
  if (onSecurityEvent === undefined) return db
  const report = (error: unknown) => app.log.error({ err: error }, 'onSecurityEvent')
  const tell = async (event: SecurityEventNotice) => { await onSecurityEvent(event) }
  return watched(db, (event) => { tell(event).catch(report) }, report)
}

async function countersign (app: FastifyInstance, options: CountersignOptions): Promise<void> {
  const { namespace, redis = noRedis, identify } = options
  const db = listening(app, options)
  const seal = createSeal(options.sealKeys, namespace)
  const sessions = createSessions({
    db,
    feedDb: options.feedDb ?? db,
    redis,
    namespace,
    macKeys: seal.derive('session copy'),
    revocationSeconds: options.revocationSeconds,
    report: (error) => app.log.warn({ err: error }, 'the feed of ended sessions could not be read')
  })
  const locks = createLocks()
  const deps: OtpDeps = {
    db,
    seal,
    sessions,
    judgedCodes: createJudgedCodes(redis, namespace, seal.derive('judged codes')[0]!),
    locks,
    tally: createTally(),
    digestKey: createDigestKey(db, seal),
    settings: { ...options.settings, issuer: options.issuer }
  }

  function admit (request: FastifyRequest, { proven }: Identity, standing: Standing | null): Standing {
    if (standing === null) throw new Refusal('SESSION_ENDED')
    // A host's token is at most as new as the session; it never adds what the session has not proven.
    request.countersign = proven === undefined || standing.otpDeviceId === null
      ? standing
      : { ...standing, ...proven }
    return request.countersign
  }

  async function admitLater (request: FastifyRequest, pending: Promise<Identity | null>): Promise<Standing> {
    const identity = await pending
    if (identity === null) throw new Refusal('TOKEN_INVALID')
    const known = sessions.known(identity.userId, identity.sessionId)
    return admit(request, identity, known === undefined ? await sessions.find(identity.userId, identity.sessionId) : known)
  }

  /** Without a promise where the process knows the answer: this stands in front of every guarded request. */
  function authenticate (request: FastifyRequest): Standing | Promise<Standing> {
    if (request.countersign !== null) return request.countersign
    const identity = identify(request)
    if (identity instanceof Promise) return admitLater(request, identity)
    if (identity === null) throw new Refusal('TOKEN_INVALID')
    const known = sessions.known(identity.userId, identity.sessionId)
    return known === undefined ? admitLater(request, Promise.resolve(identity)) : admit(request, identity, known)
  }

  function hook (check: (standing: Standing) => void): GuardHook {
    return (request, _reply, done) => {
      const standing = authenticate(request)
      if (!(standing instanceof Promise)) {
        check(standing)
        return done()
      }
      standing.then((found) => check(found)).then(() => done(), done)
    }
  }

  function guard (demand: Demand): GuardHook {
    return hook((standing) => {
      const lack = shortfall(standing, demand, sessions.nowSeconds())
      if (lack !== null) throw new Refusal(lack, demand.maxAge === undefined ? {} : { maxAgeSeconds: demand.maxAge })
    })
  }

  const plain = guard({})
  const session = hook(() => {})
  app.decorateRequest('countersign', null)
  app.decorate('otpVerified', function (...args: [Demand] | Parameters<GuardHook>) {
    return args.length === 1 ? guard(args[0]) : plain.apply(app, args)
  } as OtpVerified)
  app.decorate('countersign', { isReady: () => hasKey && sessions.state().isFeedFresh, db, sessions, seal, digestKey: deps.digestKey, tally: deps.tally, locks, session })

  await app.register(async (scope) => {
    await scope.register(schemas)
    await scope.register(jsonOnly)
    await scope.register(totpRoutes, {
      deps,
      session,
      verified: plain,
      fresh: guard({ maxAge: options.settings.freshSeconds }),
      label: options.label,
      complete: options.complete,
      ...(options.checkPassword === undefined ? {} : { checkPassword: options.checkPassword }),
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      deprecatedGets: options.deprecatedGets ?? false
    })
  }, { prefix: options.prefix ?? '/totp' })

  const closing = new AbortController()
  let hasKey = false

  /**
   * Makes the digest key, or re-seals it, before anybody needs it: an old key of SEAL_KEYS may go as soon as a process
   * with the new one has been ready. Postgres may come up after us.
   */
  async function fetchKey (): Promise<void> {
    while (!hasKey && !closing.signal.aborted) {
      try {
        await deps.digestKey()
        hasKey = true
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        await delay(KEY_RETRY_MS * (0.8 + Math.random() * 0.4), undefined, { ref: false })
      }
    }
  }

  app.addHook('onReady', async () => {
    sessions.start()
    void fetchKey().catch((error: unknown) => { app.log.fatal({ err: error }, 'SEAL_KEYS do not open what this database holds') })
  })
  app.addHook('onClose', async () => {
    closing.abort()
    await sessions.stop()
  })
}

export default fp(countersign, { name: 'countersign', fastify: '5.x' })
