import type { FastifyBaseLogger } from 'fastify'
import { createCounters } from '../core/counters.js'
import type { Key } from '../core/keys/key-ring.js'
import { Refusal } from '../core/refusals.js'
import { createSeal } from '../core/keys/seal.js'
import { misreadings } from '../core/totp/totp.js'
import type { OtpDeps, OtpSettings } from '../factors/deps.js'
import { createLocks } from '../factors/local-locks.js'
import { createRejectedCodes } from '../factors/totp/rejected-codes.js'
import { createUnreadable } from '../factors/unreadable.js'
import { reasonOf } from '../postgres/unusable.js'
import type { RedisLink } from '../redis/link.js'
import { claimNamespace } from '../redis/namespace-claim.js'
import { createSessions } from '../sessions/liveness.js'
import { createMethods } from '../sessions/methods.js'
import type { Db } from '../tables/db.js'
import { readIdentity, type DatabaseIdentity } from '../tables/identity.js'
import { createDeploymentKey } from './deployment-key.js'
import { factorRules } from './options/factor-options.js'
import { requireRule } from './options/rule.js'

/** Opened stores. Their owner also closes them. */
export interface Stores {
  db: Db
  /** Connection of the revocation poller, separate if possible: all requests wait for its readings. */
  pollerDb: Db
  redis: RedisLink
  /** Schema of the tables; undefined for the first schema of the search path. */
  schema: string | undefined
  /** Returns true while the database is known to be unusable, which the owner of the stores has logged. */
  isKnownAway (): boolean
  /**
   * Checks the database at start.
   *
   * @returns false if PostgreSQL does not answer: the start then continues without it
   * @throws if the tables are not up to date, or belong to another registration
   */
  prepare (identity: () => Promise<DatabaseIdentity>): Promise<boolean>
  close (): Promise<void>
}

export interface SecondFactorDeps {
  stores: Stores
  sealKeys: readonly Key[]
  namespace: string
  settings: OtpSettings
  revocationSeconds: number
  /** True if the requesting session itself becomes verified. */
  sameSession?: boolean
  log: FastifyBaseLogger
}

/** The second factor without HTTP: stores, keys, caches and settings of one process. */
export interface SecondFactor extends OtpDeps {
  /** True if every session was inserted here: an unknown session has ended. False where sessions begin at a host. */
  knowsSessions: boolean
  /** Returns true if PostgreSQL answers and the keys of this process are open. */
  isReady (): boolean
  /** Returns the reason, a sentence, why the keys of this process do not fit the database; null if they fit or were not tried yet. */
  keyFault (): string | null
  /** Prepares the stores, claims the namespace, opens the keys and begins to read revocations. */
  start (): Promise<void>
  stop (): Promise<void>
  /** Releases the namespace and closes the stores. May be called again. */
  close (): Promise<void>
}

/**
 * Creates the second factor over opened stores. No statement runs before `start`.
 *
 * @throws {TypeError} if an option does not follow its rule
 */
export function createSecondFactor (deps: SecondFactorDeps): SecondFactor {
  const { stores, sealKeys, namespace, settings, revocationSeconds, sameSession = false, log } = deps
  const { db, schema, isKnownAway } = stores
  const knowsSessions = db.hasAccounts
  // The service gives these without the check of a host's options.
  requireRule('namespace', namespace, factorRules.namespace)
  requireRule('issuer', settings.issuer, factorRules.issuer)
  requireRule('revocationSeconds', revocationSeconds, factorRules.revocationSeconds)
  for (const misreading of misreadings(settings.issuer)) log.warn(`the issuer (OTP_ISSUER) ${misreading}`)
  const seal = createSeal(sealKeys, namespace)
  const key = createDeploymentKey({
    db, keys: sealKeys, namespace, isKnownAway, fatal: (facts, line) => { log.fatal(facts, line) }
  })
  let identity: DatabaseIdentity | undefined
  const identityOf = async () => (identity ??= await readIdentity(db, schema))
  const claim = claimNamespace({ redis: stores.redis, namespace, macKeys: seal.derive('registration'), ownerOf: identityOf, log })
  const sessions = createSessions({
    db,
    pollerDb: stores.pollerDb,
    redis: claim.link,
    namespace,
    macKeys: seal.derive('session copy'),
    readingKeys: seal.derive('revocation reading'),
    revocationSeconds,
    report (error) {
      if (isKnownAway()) return
      const facts = error instanceof Refusal ? { reason: reasonOf(error) } : { err: error }
      log.warn(facts, 'revocation poller: reading failed; sessions are checked in PostgreSQL until it succeeds')
    }
  })
  const counters = createCounters()
  let closed: Promise<void> | undefined
  return {
    db,
    seal,
    sessions,
    rejectedCodes: createRejectedCodes(claim.link, namespace, seal.derive('judged codes')[0]!),
    locks: createLocks(),
    methods: createMethods(db),
    counters,
    unreadable: createUnreadable(counters, (at) => log.error(at, at.row === null
      ? 'more stored values cannot be read: no line for each of them any more'
      : 'a stored value cannot be read and is skipped: is its key missing in SEAL_KEYS?')),
    digestKey: key.read,
    settings,
    sameSession,
    knowsSessions,
    isReady: () => key.isOpen() && sessions.state().areRevocationsFresh,
    keyFault: key.fault,
    async start () {
      const isThere = await stores.prepare(identityOf)
      await claim.start(isThere)
      await key.start(isThere)
      sessions.start()
    },
    async stop () {
      key.stop()
      await sessions.stop()
    },
    async close () {
      closed ??= claim.stop().finally(stores.close)
      await closed
    }
  }
}
