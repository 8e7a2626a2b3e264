import type { FastifyInstance, onErrorHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { originOf } from '../routes/requester.js'
import { AnyAnswer } from '../routes/schemas.js'
import sessionRoutes from '../routes/session/index.js'
import totpRoutes from '../routes/totp/index.js'
import { createApi } from '../src/attach/api.js'
import { complete } from '../src/attach/completion.js'
import type { Guards } from '../src/attach/guard.js'
import { checkedLabel, checkedPassword } from '../src/attach/host-answers.js'
import { tellHost, type HostSessions } from '../src/attach/host-sessions.js'
import { keepInside } from '../src/attach/inside.js'
import { checkRouteOptions, type CheckedRouteOptions, type Decorators, type RouteOptions } from '../src/attach/options/route-options.js'
import type { SecondFactor } from '../src/attach/second-factor.js'
import { setRefusalHeaders } from '../src/attach/refusal-headers.js'
import { BODY_BYTES } from '../src/core/body-limit.js'
import { Refusal } from '../src/core/refusals.js'
import { relyingPartyOf } from '../src/core/passkeys/relying-party.js'
import type { RelyingParty } from '../src/core/passkeys/webauthn.js'
import { countUnreachable } from '../src/factors/passkeys/unreachable.js'
import { requireLibrary } from '../src/factors/passkeys/webauthn.js'
import { createHardening } from '../src/factors/recovery/hardening.js'
import cleanup from './cleanup.js'
import hostEnvelope from './host-envelope.js'
import jsonOnly from './json-only.js'
import schemas from './schemas.js'

export interface SecondFactorOptions extends RouteOptions {
  factor: SecondFactor
  guards: Guards
  /** Adds GET variants of the operations that change data, for clients of the reference system. Not for new clients. */
  deprecatedGets?: boolean
}

/**
 * Guard, routes and cleanup of a second factor. The service registers it with stores of its own;
 * [countersign.ts](countersign.ts) registers it with those of a host.
 */
async function secondFactor (app: FastifyInstance, given: SecondFactorOptions): Promise<void> {
  const { factor, guards, deprecatedGets = false } = given
  // Added first, so that a failed start closes the stores too. These hooks run in reverse order.
  app.addHook('onClose', async () => { await factor.close() })
  const options = checkRouteOptions(given)
  const party = partyOf(options, factor)
  const decorators = freeNames(app, options.decorators)
  const host = tellHost(options.endSessions, (error, isLast) => app.log[isLast ? 'error' : 'warn']({ err: error }, 'endSessions'))
  app.decorateRequest(decorators.countersign, null)
  app.decorate(decorators.otpVerified, guards.otpVerified)
  const api = createApi(factor, guards, { host, report: (error, of) => { app.log.error({ err: error }, of) } })
  app.decorate(decorators.countersign, api)
  keepInside(api, factor)

  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => { route.bodyLimit ??= BODY_BYTES })
    scope.addHook('onError', sayCode)
    await scope.register(schemas)
    await scope.register(jsonOnly)
    // The service has no hooks of others.
    if (!factor.knowsSessions) await scope.register(hostEnvelope)
    await registerRoutes(scope, { ...options, factor, guards, deprecatedGets, party }, host)
  }, { prefix: options.prefix })
  await registerSession(app, options, guards)
  await app.register(cleanup, {
    db: factor.db,
    counters: factor.counters,
    isReady: factor.isReady,
    harden: createHardening(factor),
    eventsDays: options.eventsDays,
    endedSessionDays: options.endedSessionDays
  })

  app.addHook('onReady', async () => {
    // A failed start must close everything that is ours: a host may end without closing the app.
    await factor.start().catch(async (error: unknown) => {
      await factor.close()
      throw error
    })
    await nameUnreachable(app, factor, party).catch((error: unknown) => {
      // Without PostgreSQL the start goes on.
      if (!(error instanceof Refusal)) app.log.error({ err: error }, 'passkeys of another RP id could not be looked for')
    })
  })
  app.addHook('onClose', async () => {
    host.stop()
    await factor.stop()
  })
}

/** Sets the headers of a refusal, which the error handler of a host may leave out. */
const sayCode: onErrorHookHandler = (_request, reply, error, done) => {
  if (error instanceof Refusal) setRefusalHeaders(reply, error)
  else if (error.validation !== undefined) void reply.header('x-refusal', error.code)
  done()
}

/** The guard as an endpoint of a host. The service registers its own. */
async function registerSession (app: FastifyInstance, options: CheckedRouteOptions, guards: Guards): Promise<void> {
  const { session } = options
  if (session === undefined) return
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (_request, reply) => { void reply.header('cache-control', 'no-store') })
    scope.addHook('onError', sayCode)
    await scope.register(schemas)
    await scope.register(hostEnvelope)
    await scope.register(sessionRoutes, { guards, ...given(options, 'security') })
  }, { prefix: session })
}

/** @throws {Error} if the library of passkeys is not installed */
function partyOf ({ passkeys }: CheckedRouteOptions, { settings }: SecondFactor): RelyingParty | undefined {
  if (passkeys === undefined) return undefined
  requireLibrary()
  return relyingPartyOf({ rpName: settings.issuer, ...passkeys })
}

/** Warns of passkeys that a change of settings took from their users. */
async function nameUnreachable ({ log }: FastifyInstance, { db }: SecondFactor, party: RelyingParty | undefined): Promise<void> {
  const others = await countUnreachable(db, party?.rpId ?? null)
  if (others.length === 0) return
  log.warn({ rpId: party?.rpId ?? null, others },
    'there are passkeys of another RP id, which no browser finds now: their users still owe a second factor, and need a recovery code ' +
    'or another one. Were PASSKEY_ORIGINS or PASSKEY_RP_ID (a host: "passkeys") changed?')
}

type Routes = CheckedRouteOptions & Required<Pick<SecondFactorOptions, 'factor' | 'guards' | 'deprecatedGets'>> &
  { party: RelyingParty | undefined }

async function registerRoutes (scope: FastifyInstance, options: Routes, host: HostSessions): Promise<void> {
  const { factor, guards: { session, otpVerified, contextOf }, deprecatedGets, party } = options
  const { db, sessions, settings } = factor
  const sessionIdOf = (request: Parameters<typeof contextOf>[0]) => contextOf(request).sessionId
  await scope.register(totpRoutes, {
    ...given(options, 'security', 'limit'),
    deprecatedGets,
    label: checkedLabel(options.label, (error) => scope.log.error({ err: error }, 'label')),
    ...(options.checkPassword === undefined
      ? {}
      : { checkPassword: checkedPassword(options.checkPassword, { db, originOf, sessionIdOf }) }),
    deps: factor,
    session,
    verified: otpVerified,
    fresh: otpVerified({ maxAge: settings.freshSeconds }),
    contextOf,
    requesterOf: (request) => ({ context: contextOf(request), ...originOf(request) }),
    finish: (request, reply, session, others) =>
      complete(
        { complete: options.complete, sameSession: factor.sameSession, db, sessions, host }, request, reply,
        { askingId: sessionIdOf(request), session, endsOthers: others === 'have ended' }
      ),
    othersEnded: ({ userId, sessionId }) => { host.end(userId, sessionId) },
    answerSchema: options.answerSchema ?? AnyAnswer,
    ...(party === undefined ? {} : { party })
  })
}

/** Returns the named options that are set. */
function given<Options extends object, Name extends keyof Options> (options: Options, ...names: Name[]): Pick<Options, Name> {
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])) as Pick<Options, Name>
}

/** @throws {TypeError} if the app has one of the names already */
export function freeNames (app: FastifyInstance, decorators: Decorators): Decorators {
  for (const name of Object.values(decorators)) {
    if (app.hasDecorator(name)) {
      throw new TypeError(`countersign: "decorators" must name another one than "${name}", which the app has already`)
    }
  }
  return decorators
}

export default fp(secondFactor, { name: 'second-factor', fastify: '5.x' })
