import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RelyingParty } from '../../src/core/passkeys/webauthn.js'
import { longest } from '../../src/core/texts.js'
import { factors } from '../../src/factors/factor.js'
import { challengePasskey, confirmPasskey, verifyPasskey } from '../../src/factors/passkeys/ceremonies.js'
import { onRepeat } from '../repeats.js'
import { needsSession, refused } from '../refused.js'
import { requireName } from '../schemas.js'
import { NewPasskey, PasskeyAssertion, PasskeyChallenge, PasskeyRegistration, PasskeySetUp } from './passkey-schemas.js'
import type { TotpGroupOptions } from './schemas.js'

export type PasskeyRoutesOptions = TotpGroupOptions & { party: RelyingParty }

const passkeyRoutes: FastifyPluginAsyncTypebox<PasskeyRoutesOptions> = async (app, options) => {
  const { session, contextOf, requesterOf, label, checkPassword, finish, answerSchema, limit = () => ({}), common } = options
  const deps = { ...options.deps, party: options.party }

  app.post('/create', {
    config: limit('enrol'),
    preHandler: session,
    schema: {
      operationId: 'createPasskey',
      ...common,
      summary: 'Begin the set-up of a passkey: a challenge, and recovery codes for the first factor',
      description: 'Changes nothing until `/totp/passkeys/confirm`. Asked again by the same session it answers a new challenge and the ' +
        'same codes; an authenticator app that this session began to set up is replaced. ' +
        'The first factor asks for a password given within `OTP_REAUTH_SECONDS`, or in the body; a further one for a fresh proof.',
      body: NewPasskey({ hasPassword: checkPassword !== undefined }),
      response: {
        201: PasskeySetUp,
        ...refused([...needsSession, 'REAUTH_REQUIRED', 'OTP_REQUIRED', 'OTP_STALE', 'OTP_DEVICE_LIMIT', 'BUSY'])
      }
    },
    handler: async (request, reply) => {
      const { userId } = contextOf(request)
      const { name, password } = request.body as { name?: string, password?: string }
      const enrolment = await factors.passkey.begin(deps, requesterOf(request), await label(userId), {
        name: name === undefined ? 'Passkey' : requireName('name', name, longest.deviceName),
        checkPassword: password === undefined || checkPassword === undefined ? null : () => checkPassword(request, userId, password)
      })
      void reply.code(201)
      return { message: `Create the passkey, then send it to ${app.prefix}/confirm.`, ...enrolment } as never
    }
  })

  app.post('/confirm', {
    ...onRepeat(deps.db, { otp_enabled: 'PASSKEY_INVALID' }),
    config: limit('code'),
    preHandler: session,
    schema: {
      operationId: 'confirmPasskey',
      ...common,
      summary: 'Give the new passkey: confirms it, and verifies this session',
      description: 'Uses the challenge up, whatever the answer. The user\'s other sessions end; the answer has the tokens of a new one.',
      body: PasskeyRegistration,
      response: { 200: answerSchema, ...refused([...needsSession, 'PASSKEY_INVALID', 'OTP_NOT_SET_UP']) }
    },
    handler: async (request, reply) =>
      await finish(request, reply, await confirmPasskey(deps, requesterOf(request), request.body.response), 'have ended') as never
  })

  app.post('/challenge', {
    config: limit('code'),
    preHandler: session,
    schema: {
      operationId: 'challengePasskey',
      ...common,
      summary: 'Ask for a challenge for a passkey',
      description: 'One challenge of a session is outstanding; at most 20 in a minute.',
      response: {
        200: PasskeyChallenge,
        ...refused([...needsSession, 'OTP_NOT_SET_UP'])
      }
    },
    handler: async (request) => await challengePasskey(deps, requesterOf(request))
  })

  app.post('/login', {
    ...onRepeat(deps.db, { otp_verified: 'PASSKEY_INVALID' }),
    config: limit('code'),
    preHandler: session,
    schema: {
      operationId: 'verifyPasskey',
      ...common,
      summary: 'Give a passkey\'s answer to the challenge: verifies this session',
      description: 'Uses the challenge up, whatever the answer. On an unverified session it ends that session and answers the tokens of ' +
        'a new one; else it renews the proof. Never locked; it clears a lock of codes and ends the user\'s unverified sessions.',
      body: PasskeyAssertion,
      response: { 200: answerSchema, ...refused([...needsSession, 'PASSKEY_INVALID']) }
    },
    handler: async (request, reply) =>
      await finish(request, reply, await verifyPasskey(deps, requesterOf(request), request.body.response), 'live on') as never
  })
}

export default passkeyRoutes
