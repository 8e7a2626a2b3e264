import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { otpInvalid } from '../../src/factors/attempts.js'
import { verifyTotp } from '../../src/factors/totp/verification.js'
import { needsSession, refused } from '../refused.js'
import { onRepeat } from '../repeats.js'
import { TotpCode, type TotpGroupOptions } from './schemas.js'

/** Judges the codes of an app. */
const verificationRoutes: FastifyPluginAsyncTypebox<TotpGroupOptions> = async (app, options) => {
  const { deps, session, requesterOf, finish, answerSchema, common, limit = () => ({}) } = options

  const used = () => otpInvalid(deps)
  app.post('/login', {
    ...onRepeat(deps.db, { otp_verified: used, otp_enabled: used }),
    config: limit('code'),
    preHandler: session,
    schema: {
      operationId: 'verifyTotp',
      ...common,
      summary: 'Give a code: confirms a pending device, or verifies this session',
      description: 'An accepted code is used. On an unverified session, and where it confirms a device, it ends that session and ' +
        'answers the tokens of a new one; else it renews the proof.',
      body: TotpCode,
      response: { 200: answerSchema, ...refused([...needsSession, 'OTP_INVALID', 'OTP_NOT_SET_UP', 'OTP_LOCKED']) }
    },
    handler: async (request, reply) => {
      const { session: proven, reason } = await verifyTotp(deps, requesterOf(request), request.body.token)
      return await finish(request, reply, proven, reason === 'enabled' ? 'have ended' : 'live on') as never
    }
  })
}

export default verificationRoutes
