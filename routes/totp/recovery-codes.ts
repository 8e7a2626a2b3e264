import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { recover, regenerateRecoveryCodes } from '../../src/factors/recovery/recovery.js'
import { needsFresh, needsSession, refused } from '../refused.js'
import { onRepeat } from '../repeats.js'
import { byGet, RecoveryCode, RecoveryCodes, withCodesLeft, type TotpGroupOptions } from './schemas.js'

/** Makes recovery codes, and accepts them in place of a device. */
const recoveryCodeRoutes: FastifyPluginAsyncTypebox<TotpGroupOptions> = async (app, options) => {
  const { deps, session, fresh, contextOf, requesterOf, finish, othersEnded, answerSchema, common } = options
  const { deprecatedGets = false, limit = () => ({}) } = options
  const schema = {
    operationId: 'createRecoveryCodes',
    ...common,
    summary: 'Make new recovery codes; the old ones become invalid',
    description: 'The user\'s other sessions end.',
    response: { 201: RecoveryCodes, ...refused([...needsFresh, 'OTP_NOT_SET_UP']) }
  }
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const codes = await regenerateRecoveryCodes(deps, requesterOf(request))
    othersEnded(contextOf(request))
    void reply.code(201)
    return codes
  }
  app.post('/create', { preHandler: fresh, schema, handler })

  app.post('/login', {
    ...onRepeat(deps.db, { recovery_used: 'RECOVERY_CODE_INVALID' }),
    config: limit('code'),
    preHandler: session,
    schema: {
      operationId: 'useRecoveryCode',
      ...common,
      summary: 'Use a recovery code in place of the device',
      description: 'Counts as verified. Clears the lock, ends the requester session and the user\'s unverified ones, and answers the ' +
        'tokens of a new one. ' +
        'Never locked, except the short codes that were imported from another system: they count as codes of an app do.',
      body: RecoveryCode,
      response: {
        200: withCodesLeft(answerSchema),
        ...refused([...needsSession, 'RECOVERY_CODE_INVALID', 'OTP_LOCKED'])
      }
    },
    handler: async (request, reply) => {
      const { session: recovered, recoveryCodesLeft } = await recover(deps, requesterOf(request), request.body.token)
      return { ...await finish(request, reply, recovered, 'live on'), recoveryCodesLeft } as never
    }
  })

  if (!deprecatedGets) return
  app.get('/create', {
    ...byGet,
    preHandler: fresh,
    schema: {
      ...schema,
      deprecated: true,
      operationId: 'createRecoveryCodesByGet',
      summary: 'As POST /totp/recovery_code/create; for the first clients'
    },
    handler
  })
}

export default recoveryCodeRoutes
