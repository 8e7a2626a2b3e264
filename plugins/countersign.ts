import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { originOf } from '../routes/requester.js'
import { AnyAnswer } from '../routes/schemas.js'
import totpRoutes from '../routes/totp/index.js'
import { createDeploymentKey } from '../src/attach/deployment-key.js'
import { tellHost } from '../src/attach/host-sessions.js'
import { createGuards, type Check, type GuardHook, type OtpVerified } from '../src/attach/guard.js'
import { complete } from '../src/attach/completion.js'
import { checkedLabel, checkedPassword } from '../src/attach/host-answers.js'
import { requireId } from '../src/attach/ids.js'
import { keepInside } from '../src/attach/inside.js'
import { migrate, migrationSql, requireTables, tablesVersion } from '../src/attach/tables.js'
import { checkOptions, type CheckedOptions, type CountersignOptions } from '../src/attach/options.js'
import { register } from '../src/attach/registrations.js'
import { listening, passOver } from '../src/attach/start.js'
import type { SessionContext } from '../src/core/assurance.js'
import { Refusal } from '../src/core/refusals.js'
import { relyingPartyOf } from '../src/core/relying-party.js'
import { createSeal } from '../src/core/seal.js'
import { isMisread } from '../src/core/totp.js'
import { openHostDatabase } from '../src/tables/host-database.js'
import { readIdentity, type DatabaseIdentity } from '../src/tables/identity.js'
import { reasonOf } from '../src/postgres/unusable.js'
import type { OtpDeps } from '../src/factors/deps.js'
import { forget } from '../src/factors/forget.js'
import { createLocks } from '../src/factors/local-locks.js'
import { createUnreadable } from '../src/factors/unreadable.js'
import { requireLibrary } from '../src/factors/passkeys/webauthn.js'
import { resetFactors } from '../src/factors/reset.js'
import { createRejectedCodes } from '../src/factors/totp/rejected-codes.js'
import { openHostRedis } from '../src/redis/host.js'
import { claimNamespace } from '../src/redis/namespace-claim.js'
import { createSessions } from '../src/sessions/liveness.js'
import { createCounters } from '../src/core/counters.js'
import jsonOnly from './json-only.js'
import schemas from './schemas.js'
import sweeper from './cleanup.js'

/** 16 KiB. The largest valid body is a code. */
const BODY_BYTES = 16 * 1024

export interface Countersign {
  /** Hook that accepts live sessions, verified or not. */
  session: GuardHook
  check: Check
  /** Returns true if PostgreSQL answers and the keys of this process are open. */
  isReady (): boolean
  /**
   * Deletes a user's devices and recovery codes, and ends every session. For a user without both, after a check of the
   * user's identity. Until a device is set up, the first factor is the only one.
   *
   * @param by actor and reason, recorded in the user's events
   */
  reset (userId: string, by: { actorId: string, reason: string }): Promise<void>
  /**
   * Deletes all data of a user whose account was deleted at the host, and ends every session. From then on, sessions with
   * an older proof, or with one of unknown age, are refused, because the id may be given to another user. Resolves within a
   * second; that user may then log in.
   *
   * @throws {Error} if the id is invalid
   */
  forget (userId: string): Promise<void>
  /** Reads immediately the data that a poll reads within a quarter of a second: revocations, and PostgreSQL's time. */
  catchUp (): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    otpVerified: OtpVerified
    countersign: Countersign
  }
  interface FastifyRequest {
    /** Session context of the requester, after a guard has accepted the request. */
    countersign: SessionContext | null
  }
}

async function countersign (app: FastifyInstance, given: CountersignOptions): Promise<void> {
  const options = checkOptions(given)
  const { namespace, settings, issuer, prefix, decorators } = options
  for (const name of Object.values(decorators)) {
    if (app.hasDecorator(name)) {
      throw new TypeError(`countersign: "decorators" must name another one than "${name}", which the app has already`)
    }
  }
  if (isMisread(issuer)) app.log.warn('the issuer (OTP_ISSUER) has one of & + # ?, which some authenticators cannot read (pyotp 2.6.0)')
  const { schema } = options
  const place = register({ app: app.server, namespace, schema, database: options.database, redis: options.redis })
  const report = (error: Error) => app.log.warn({ reason: reasonOf(error) }, 'a connection to PostgreSQL was lost')
  const database = await openHostDatabase(options.database, schema, report).catch((error: unknown) => {
    place.release()
    throw error
  })
  const redis = openHostRedis(options.redis, app.log)
  const db = listening(app.log, database.db, options.onSecurityEvent)
  const seal = createSeal(options.sealKeys, namespace)
  /** The service itself reports that its database cannot be used yet. */
  const isKnownAway = () => typeof options.database === 'object' && 'pollerDb' in options.database && options.database.fault() !== null
  const fatal = (facts: object, line: string) => { app.log.fatal(facts, line) }
  const key = createDeploymentKey({ db, keys: options.sealKeys, namespace, isKnownAway, fatal })
  let identity: DatabaseIdentity | undefined
  const identityOf = async () => {
    identity ??= await readIdentity(db, db.hasAccounts ? undefined : schema)
    return identity
  }
  const claim = claimNamespace({
    redis: redis.link,
    namespace,
    macKeys: seal.derive('registration'),
    ownerOf: identityOf,
    log: app.log
  })
  let closed: Promise<void> | undefined
  async function closeStores (): Promise<void> {
    closed ??= claim.stop().then(() => redis.close()).then(() => database.close()).finally(() => place.release())
    await closed
  }
  // Added now, so that a failed start closes the stores too. These hooks run in reverse order.
  app.addHook('onClose', closeStores)
  const sessions = createSessions({
    db,
    pollerDb: database.pollerDb,
    redis: claim.link,
    namespace,
    macKeys: seal.derive('session copy'),
    revocationSeconds: options.revocationSeconds,
    adopts: options.knowsSessions !== true,
    report (error) {
      if (!isKnownAway()) {
        app.log.warn(
          error instanceof Refusal ? { reason: reasonOf(error) } : { err: error }, 'the feed of ended sessions could not be read'
        )
      }
    }
  })
  const host = tellHost(options.endSessions, (error, isLast) => app.log[isLast ? 'error' : 'warn']({ err: error }, 'endSessions'))
  const counters = createCounters()
  const deps: OtpDeps = {
    db,
    seal,
    sessions,
    rejectedCodes: createRejectedCodes(claim.link, namespace, seal.derive('judged codes')[0]!),
    locks: createLocks(),
    counters,
    unreadable: createUnreadable(counters, (at) => app.log.error(at, at.row === null
      ? 'more stored values cannot be read: no line for each of them any more'
      : 'a stored value cannot be read and is skipped: is its key missing in SEAL_KEYS?')),
    digestKey: key.read,
    settings: { ...settings, issuer },
    sameSession: options.sameSession ?? false
  }

  const asksPassword = options.knowsSessions === true || options.checkPassword !== undefined
  const needsAuthTime = 'countersign: without "checkPassword" a first device needs "authTime" of identify(): a proof of unknown age is old'
  if (!asksPassword) app.log.warn(needsAuthTime)
  const onUnknownAge = () => { if (!asksPassword) app.log.warn(`${needsAuthTime}, and identify() answered none`) }
  const guards = createGuards({ ...options, sessions, originOf, onUnknownAge, slot: decorators.countersign })
  const { session, otpVerified, check, standingOf } = guards
  const party = options.passkeys === undefined ? undefined : relyingPartyOf({ rpName: issuer, ...options.passkeys })
  if (party !== undefined) requireLibrary()
  const isReady = () => key.isOpen() && sessions.state().areRevocationsFresh
  app.decorateRequest(decorators.countersign, null)
  app.decorate(decorators.otpVerified, otpVerified)
  const shown: Countersign = {
    session,
    check,
    isReady,
    async reset (userId, by) {
      await resetFactors(deps, userId, by)
      host.end(userId, null)
    },
    async forget (userId) {
      requireId(userId, 'forget() must take "userId"')
      await forget(deps, userId, () => host.end(userId, null))
    },
    async catchUp () { await sessions.poll() }
  }
  app.decorate(decorators.countersign, shown)
  keepInside(shown, { ...deps, keyFault: key.fault })

  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => { route.bodyLimit ??= BODY_BYTES })
    await scope.register(schemas)
    await scope.register(jsonOnly)
    await scope.register(totpRoutes, {
      ...pick(options),
      label: checkedLabel(options.label, (error) => app.log.error({ err: error }, 'label')),
      ...(options.checkPassword === undefined
        ? {}
        : {
            checkPassword: checkedPassword(options.checkPassword, { db, originOf, sessionIdOf: (request) => standingOf(request).sessionId })
          }),
      deps,
      session,
      verified: otpVerified,
      fresh: otpVerified({ maxAge: settings.freshSeconds }),
      standingOf,
      requesterOf: (request) => ({ context: standingOf(request), ...originOf(request) }),
      finish: (request, reply, session, others) =>
        complete(
          { ...options, db, sessions, host }, request, reply,
          { askingId: standingOf(request).sessionId, session, endsOthers: others === 'have ended' }
        ),
      othersEnded: ({ userId, sessionId }) => { host.end(userId, sessionId) },
      answerSchema: options.answerSchema ?? AnyAnswer,
      ...(party === undefined ? {} : { party })
    })
  }, { prefix })
  await app.register(sweeper, {
    db, counters: deps.counters, isReady, eventsDays: options.eventsDays, endedSessionDays: options.endedSessionDays
  })

  async function start (): Promise<void> {
    const isThere = options.knowsSessions === true ? !isKnownAway() : await requireTables(options.database, options.schema, app.log)
    if (isThere) await identityOf().then(({ database }) => { place.leadsTo(database) }, passOver)
    await claim.start(isThere)
    await key.start(isThere)
    sessions.start()
  }

  app.addHook('onReady', async () => {
    // A failed start must close everything that is ours: a host may end without closing the app.
    await start().catch(async (error: unknown) => {
      await closeStores()
      throw error
    })
  })
  app.addHook('onClose', async () => {
    key.stop()
    host.stop()
    await sessions.stop()
  })
}

/** Returns the options that the routes take, without the unset ones. */
function pick ({ security, deprecatedGets, limit }: CheckedOptions) {
  return {
    ...(security === undefined ? {} : { security }),
    ...(deprecatedGets === undefined ? {} : { deprecatedGets }),
    ...(limit === undefined ? {} : { limit })
  }
}

export type { Completion, CountersignOptions, Identity, ProvenSession } from '../src/attach/options.js'
export type { Check, OtpVerified } from '../src/attach/guard.js'
export type { TablesOptions, TablesVersion } from '../src/attach/tables.js'
export type { Demand, SessionContext } from '../src/core/assurance.js'
export type { SecurityEventNotice } from '../src/events/notice.js'
export type { RefusalCode } from '../src/core/refusals.js'
export { namedSchemas } from './named-schemas.js'
export { migrate, migrationSql, tablesVersion }

/** The plugin, with the functions that migrate its tables. */
export default Object.assign(fp(countersign, { name: 'countersign', fastify: '5.x' }), { migrate, migrationSql, tablesVersion })
