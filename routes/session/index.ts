import { METHODS } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Demand } from '../../src/core/assurance.js'
import type { GuardHook, Guards } from '../../src/attach/guard.js'
import { Refusal } from '../../src/core/refusals.js'
import { needsFresh, refused } from '../refused.js'
import { DateTime, NullableInteger, NullableString, type Security } from '../schemas.js'

export const SessionAnswer = Type.Object({
  userId: Type.String(),
  sessionId: Type.String(),
  otpDeviceId: NullableString('The device that verified the session, `recovery`, or null.'),
  otpTime: NullableInteger('Unix seconds of the last accepted code.'),
  expiresAt: DateTime
}, {
  title: 'SessionAnswer',
  description: 'The session passes the guard.',
  examples: [{
    userId: '0f8fad5b-d9cb-469f-a165-70867728950e',
    sessionId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    otpDeviceId: '16fd2706-8baf-433b-82eb-8c7fada847da',
    otpTime: 1795424400,
    expiresAt: '2026-12-23T09:00:00.000Z'
  }]
})

const text = (description: string) => ({ type: 'string', description })
/** The answer in headers, for gateways that copy headers alone. */
const identityHeaders = {
  'X-User-Id': text('`userId`, percent-encoded.'),
  'X-Session-Id': text('`sessionId`, percent-encoded.'),
  'X-Otp-Device-Id': text('`otpDeviceId`, percent-encoded; empty if null.'),
  'X-Otp-Verified': { type: 'string', enum: ['true', 'false'], description: '`true` if a second factor verified the session.' }
}

const Demands = Type.Object({
  required: Type.Optional(Type.String({ description: 'Present with any value: only with a second factor.' })),
  maxAge: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999_999, description: 'Greatest age of the proof in seconds.' })),
  phishingResistant: Type.Optional(Type.String({ description: 'Present with any value: only with a passkey.' }))
})

/** Content type of every asked-about body, which is not read. */
const ANY_TYPE = 'application/octet-stream'

export interface SessionRoutesOptions {
  guards: Pick<Guards, 'otpVerified' | 'contextOf'>
  /** True to serve every method of HTTP, also those that the app does not know. */
  addsMethods?: boolean
  /** Route `config`, for a budget. */
  config?: object
  security?: Security
}

/**
 * Guard as an endpoint, for gateways that ask about every request to a back end in any language. Method, path and body of
 * that request have no effect: only the token counts, and the body is not read.
 */
const sessionRoutes: FastifyPluginAsyncTypebox<SessionRoutesOptions> = async (app, options) => {
  const { guards: { otpVerified, contextOf }, addsMethods = false, config = {}, security } = options
  // Every method that a proxy may pass on. OPTIONS is included, because the endpoint answers for any request.
  const all = METHODS.filter((method) => method !== 'CONNECT') as HTTPMethods[]
  if (addsMethods) for (const method of all) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  const methods = all.filter((method) => app.supportedMethods.includes(method))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(null)
  })

  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const { userId, sessionId, otpDeviceId, otpTime, expiresAt } = contextOf(request)
    // Always sent, so that a gateway that copies them overwrites a client's own header of that name. Gateways treat an
    // empty header differently, so X-Otp-Verified is never empty.
    reply.headers({
      'x-user-id': encodeURIComponent(userId),
      'x-session-id': encodeURIComponent(sessionId),
      'x-otp-device-id': encodeURIComponent(otpDeviceId ?? ''),
      'x-otp-verified': String(otpDeviceId !== null)
    })
    return { userId, sessionId, otpDeviceId, otpTime, expiresAt: new Date(expiresAt * 1000) }
  }

  // The back end judges the content type. Fastify would refuse an unreadable one, and QUERY without any, before the parser above.
  const onRequest: GuardHook = (request, _reply, done) => {
    if (request.headers['content-type'] !== undefined || request.method === 'QUERY') request.headers['content-type'] = ANY_TYPE
    done()
  }
  const guard: GuardHook = function (request, reply, done) {
    const demand = demandOf(request.query as Query, isBelow(request))
    const hook = demand === null ? otpVerified : otpVerified(demand)
    return hook.call(this, request, reply, done)
  }

  const schema = {
    operationId: 'checkSession',
    tags: ['Session'],
    ...(security === undefined ? {} : { security }),
    summary: 'Ask the guard about this session, and for its user',
    description: 'Any method and any path below answers the same, so that nginx `auth_request`, Traefik ForwardAuth and Envoy ' +
      '`ext_authz` can ask about every request. ' +
      'A refusal repeats its `code` in `X-Refusal`. ' +
      'On `/session` itself any other parameter, spelling or repetition is refused with 400; below it they belong to the request that ' +
      'is asked about.',
    response: { 200: { ...SessionAnswer, headers: identityHeaders }, ...refused([...needsFresh, 'PHISHING_RESISTANT_REQUIRED']) }
  }
  // The guard checks the query; the schema is only for the document.
  const common = { config, onRequest, preHandler: guard, handler, exposeHeadRoute: false, validatorCompiler: () => () => true }
  app.route({ ...common, method: 'GET', url: '', schema: { ...schema, querystring: Demands } as object })
  app.route({
    ...common,
    method: methods.filter((method) => method !== 'GET'),
    url: '',
    schema: { response: schema.response, hide: true } as object
  })
  app.route({ ...common, method: methods, url: '/*', schema: { response: schema.response, hide: true } as object })
}

type Query = Record<string, string | string[] | undefined>

/** Parameters that are demands, by their names in lower case. */
const demands = new Map(['required', 'maxAge', 'phishingResistant'].map((name) => [name.toLowerCase(), name]))

/**
 * Returns true if the query belongs to the request that the gateway asks about, so its client wrote it. A trailing slash
 * counts as a path below.
 */
function isBelow ({ url, routeOptions }: FastifyRequest): boolean {
  const [path = ''] = url.split('?', 1)
  return routeOptions.url?.endsWith('*') === true || path.endsWith('/')
}

/**
 * Returns the demand in the query; null for the plain guard.
 *
 * On `/session` itself the operator wrote the query. A misspelt demand would be a weaker guard, so only known names in
 * exact spelling, each once, are accepted. Below, the client wrote the parameters and can only ask for more: known names
 * count in any case, and the strictest one applies.
 *
 * @throws {Refusal} REQUEST_INVALID
 */
function demandOf (query: Query, isFromClient: boolean): Demand | null {
  let [required, maxAge, phishingResistant] = [false, Infinity, false]
  for (const [name, value] of Object.entries(query)) {
    const known = demands.get(name.toLowerCase())
    if (!isFromClient && (known !== name || Array.isArray(value))) {
      throw unreadable('sessionQuery')
    }
    if (known === 'required') required = true
    if (known === 'phishingResistant') phishingResistant = true
    if (known === 'maxAge') maxAge = Math.min(maxAge, ...[value ?? ''].flat().map(secondsOf))
  }
  if (!required && !phishingResistant && maxAge === Infinity) return null
  return { required, phishingResistant, ...(maxAge === Infinity ? {} : { maxAge }) }
}

function secondsOf (text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw unreadable('maxAgeSeconds')
  return Number(text)
}

function unreadable (key: 'sessionQuery' | 'maxAgeSeconds'): Refusal {
  return new Refusal('REQUEST_INVALID', { hint: { key } })
}

export default sessionRoutes
