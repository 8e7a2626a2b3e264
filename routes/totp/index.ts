import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readStatus } from '../../src/factors/enrolment-statements.js'
import { removeTotp } from '../../src/factors/removal.js'
import { needsFresh, needsSession, refused } from '../refused.js'
import { onRepeat } from '../repeats.js'
import deviceRoutes from './devices.js'
import passkeyRoutes from './passkeys.js'
import recoveryCodeRoutes from './recovery-codes.js'
import { TotpStatus, type TotpRoutesOptions } from './schemas.js'
import setUpRoutes from './set-up.js'
import verificationRoutes from './verification.js'

/** State, set-up, verification and removal of the second factor. */
const totpRoutes: FastifyPluginAsyncTypebox<TotpRoutesOptions> = async (app, options) => {
  const { deps, session, fresh, contextOf, requesterOf, finish, answerSchema, security } = options
  const common = { tags: ['Second factor'], ...(security === undefined ? {} : { security }) }
  // Answers have codes, secrets and tokens, so no cache may keep them.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })

  app.get('/status', {
    preHandler: session,
    schema: {
      operationId: 'getTotpStatus',
      ...common,
      summary: 'State of the second factor',
      response: { 200: TotpStatus, ...refused(needsSession) }
    },
    handler: async (request) => {
      const { userId, sessionId } = contextOf(request)
      const { confirmedDevices, ...status } = await readStatus(deps.db, userId, sessionId)
      return { isOtpEnabled: confirmedDevices > 0, ...status }
    }
  })

  await app.register(setUpRoutes, { ...options, common })
  await app.register(verificationRoutes, { ...options, common })
  await app.register(recoveryCodeRoutes, { ...options, common, prefix: '/recovery_code' })

  app.delete('/delete', {
    ...onRepeat(deps.db, { otp_disabled: 'OTP_NOT_SET_UP' }),
    preHandler: fresh,
    schema: {
      operationId: 'deleteTotp',
      ...common,
      summary: 'Switch the second factor off',
      description: 'Deletes every device and recovery code and ends every session; the answer has the tokens of a new one.',
      response: { 200: answerSchema, ...refused([...needsFresh, 'OTP_NOT_SET_UP']) }
    },
    handler: async (request, reply) => await finish(request, reply, await removeTotp(deps, requesterOf(request)), 'have ended') as never
  })

  await app.register(deviceRoutes, { ...options, common, prefix: '/devices' })
  const { party } = options
  if (party !== undefined) await app.register(passkeyRoutes, { ...options, party, common, prefix: '/passkeys' })
}

export default totpRoutes
