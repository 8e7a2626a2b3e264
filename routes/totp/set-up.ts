import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { longest } from '../../src/core/texts.js'
import { rollBack } from '../../src/factors/enrolment.js'
import { factors } from '../../src/factors/factor.js'
import { needsSession, refused } from '../refused.js'
import { Message, requireName } from '../schemas.js'
import { byGet, NewTotp, TotpSetUp, type TotpGroupOptions } from './schemas.js'

/** Begins a set-up, and cancels it. */
const setUpRoutes: FastifyPluginAsyncTypebox<TotpGroupOptions> = async (app, options) => {
  const { deps, session, requesterOf, checkPassword, common, deprecatedGets = false, limit = () => ({}) } = options
  const create = createHandler(app.prefix, options)
  const route = { config: limit('enrol'), preHandler: session }
  const schema = {
    operationId: 'createTotp',
    ...common,
    summary: 'Begin a set-up: one pending device, and recovery codes for the first',
    description: 'Changes nothing until the first code is accepted. Called again by the same session it answers the same secret and ' +
      'codes, and renews `expiresAt`. ' +
      'The first device asks for a password given within `OTP_REAUTH_SECONDS`, or in the body; a further one for a fresh code.',
    response: {
      201: TotpSetUp,
      ...refused([...needsSession, 'REAUTH_REQUIRED', 'OTP_REQUIRED', 'OTP_STALE', 'OTP_DEVICE_LIMIT', 'BUSY'])
    }
  }

  app.post('/create', {
    ...route,
    schema: { ...schema, body: NewTotp({ hasPassword: checkPassword !== undefined }) },
    handler: (request, reply) => create(request, reply, request.body)
  })

  app.delete('/rollback', {
    preHandler: session,
    schema: {
      operationId: 'rollBackTotp',
      ...common,
      summary: 'Cancel the pending device of this session, and its codes',
      response: { 200: Message, ...refused([...needsSession, 'OTP_NOT_SET_UP', 'OTP_ALREADY_ENABLED']) }
    },
    handler: async (request) => {
      await rollBack(deps, requesterOf(request))
      return { message: 'The set-up was taken back.' }
    }
  })

  if (!deprecatedGets) return
  app.get('/create', {
    ...route,
    ...byGet,
    schema: { ...schema, deprecated: true, operationId: 'createTotpByGet', summary: 'As POST /totp/create; for the first clients' },
    handler: (request, reply) => create(request, reply, {})
  })
}

interface NewDevice { name?: string, password?: string }

function createHandler (prefix: string, { deps, contextOf, requesterOf, label, checkPassword }: TotpGroupOptions) {
  return async (request: FastifyRequest, reply: FastifyReply, { name, password }: NewDevice) => {
    const { userId } = contextOf(request)
    const { expiresAt, ...enrolment } = await factors.totp.begin(deps, requesterOf(request), await label(userId), {
      name: name === undefined ? 'Authenticator' : requireName('name', name, longest.deviceName),
      checkPassword: password === undefined || checkPassword === undefined ? null : () => checkPassword(request, userId, password)
    })
    // Loaded on demand: it takes 50 ms, and each user needs it once.
    const { toDataURL } = await import('qrcode')
    void reply.code(201)
    return {
      message: `Scan the QR code, then send the first code to ${prefix}/login.`,
      ...enrolment,
      otpQr: await toDataURL(enrolment.otpUrl, { errorCorrectionLevel: 'M' }),
      expiresAt
    }
  }
}

export default setUpRoutes
