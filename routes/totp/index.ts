import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type TSchema } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { SessionContext } from '../../src/core/assurance.js'
import type { Requester, SessionFacts } from '../../src/core/session.js'
import { readStatus } from '../../src/factors/enrolment-statements.js'
import { longest } from '../../src/core/texts.js'
import type { OtpDeps } from '../../src/factors/deps.js'
import { enrol, rollBack } from '../../src/factors/enrolment.js'
import { recover, regenerateRecoveryCodes } from '../../src/factors/recovery/recovery.js'
import { removeTotp } from '../../src/factors/removal.js'
import { verifyTotp } from '../../src/factors/totp/verification.js'
import { onRepeat } from '../repeats.js'
import {
  DateTime, Message, Name, needsFresh, needsSession, NullableDateTime,
  Password, refused, requireName, strict, TypedCode, type Security
} from '../schemas.js'
import deviceRoutes from './devices.js'

export interface TotpRoutesOptions {
  deps: OtpDeps
  /** Accepts live sessions. */
  session: onRequestHookHandler
  /** Accepts sessions that pass `otpVerified`. */
  verified: onRequestHookHandler
  /** Accepts sessions that pass `otpVerified` with a recent proof. */
  fresh: onRequestHookHandler
  standingOf: (request: FastifyRequest) => SessionContext
  requesterOf: (request: FastifyRequest) => Requester
  label: (userId: string) => string | Promise<string>
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void>
  /** Completes a session that began or went on. Returns the answer for the client. */
  finish: (request: FastifyRequest, reply: FastifyReply, session: SessionFacts, others: 'live on' | 'have ended') => Promise<object>
  /** Schema of that answer. */
  answerSchema: TSchema
  /** Security requirements for the document, which has none without it. */
  security?: Security
  deprecatedGets?: boolean
  limit?: (name: 'code' | 'enrol') => object
  /** Called when the user's other sessions ended and the requesting one did not change. */
  othersEnded: (context: SessionContext) => void
}

const Code = (description: string, example: string) =>
  Type.Object({ token: TypedCode(description) }, { ...strict, examples: [{ token: example }] })
const RecoveryCodes = Type.Array(Type.String(), { examples: [['7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', '…']] })

/** Adds the number of codes left to the schema of a host's answer, which may be any object. */
function withCodesLeft (answer: TSchema): TSchema {
  const { examples = [], ...schema } = answer as TSchema & { examples?: object[] }
  return {
    ...schema,
    properties: { ...schema['properties'], recoveryCodesLeft: Type.Integer() },
    required: [...(schema['required'] as string[] | undefined) ?? [], 'recoveryCodesLeft'],
    examples: examples.map((example: object) => ({ ...example, recoveryCodesLeft: 4 }))
  } as TSchema
}

const totpRoutes: FastifyPluginAsyncTypebox<TotpRoutesOptions> = async (app, options) => {
  const { deps, session, fresh, standingOf, requesterOf, label, checkPassword, finish, othersEnded } = options
  const { answerSchema, security, deprecatedGets = false, limit = () => ({}) } = options
  const common = { tags: ['Second factor'], ...(security === undefined ? {} : { security }) }
  // Answers have codes, secrets and tokens, so no cache may keep them.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })

  app.get('/status', {
    onRequest: session,
    schema: {
      operationId: 'totpStatus',
      ...common,
      summary: 'State of the second factor',
      response: {
        200: Type.Object({
          isOtpEnabled: Type.Boolean({ description: 'Whether a device is confirmed.' }),
          isPending: Type.Boolean({ description: 'Whether a device of this session waits for its first code.' }),
          recoveryCodesLeft: Type.Integer(),
          recoveryCodesWeak: Type.Boolean({
            description: 'Whether they were imported from another system and are short: make new ones.'
          }),
          otpDeadline: Type.Unsafe<Date | null>({
            ...NullableDateTime,
            description: 'Time after which this session can only set up a second factor; null if the policy requires none, or the ' +
              'user has one.'
          })
        }, { examples: [{ isOtpEnabled: true, isPending: false, recoveryCodesLeft: 5, recoveryCodesWeak: false, otpDeadline: null }] }),
        ...refused(needsSession)
      }
    },
    handler: async (request) => {
      const { userId, sessionId } = standingOf(request)
      const { confirmedDevices, ...status } = await readStatus(deps.db, userId, sessionId)
      return { isOtpEnabled: confirmedDevices > 0, ...status }
    }
  })

  const create = {
    config: limit('enrol'),
    onRequest: session,
    schema: {
      operationId: 'createTotp',
      ...common,
      summary: 'Begin a set-up: one pending device, and recovery codes for the first',
      description: 'Changes nothing until the first code is accepted. Called again by the same session it answers the same secret and ' +
        'codes, and renews `expiresAt`. ' +
        'The first device asks for a password given within `OTP_REAUTH_SECONDS`, or in the body; a further one for a fresh code.',
      response: {
        201: Type.Object({
          message: Type.String(),
          deviceId: Type.String({ format: 'uuid' }),
          otpUrl: Type.String({ description: 'otpauth:// URI.' }),
          otpQr: Type.String({ description: 'The same as a QR code: a PNG as `data:` URL.' }),
          recoveryCodes: RecoveryCodes,
          expiresAt: DateTime
        }, {
          examples: [{
            message: 'Scan the QR code, then send the first code to /totp/login.',
            deviceId: '0f8fad5b-d9cb-469f-a165-70867728950e',
            otpUrl: 'otpauth://totp/Countersign:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' +
              '&issuer=Countersign&algorithm=SHA1&digits=6&period=30',
            otpQr: 'data:image/png;base64,iVBORw0KGgo…',
            recoveryCodes: ['7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', '…'],
            expiresAt: '2026-11-23T09:10:00.000Z'
          }]
        }),
        ...refused([...needsSession, 'REAUTH_REQUIRED', 'OTP_REQUIRED', 'OTP_STALE', 'OTP_DEVICE_LIMIT', 'BUSY'], { body: true })
      }
    }
  }
  const createHandler = async (request: FastifyRequest, reply: FastifyReply, body: { name?: string, password?: string }) => {
    const { userId } = standingOf(request)
    const { password } = body
    const { expiresAt, ...enrolment } = await enrol(deps, requesterOf(request), {
      name: body.name === undefined ? 'Authenticator' : requireName('body.name', body.name, longest.deviceName),
      label: await label(userId),
      checkPassword: password === undefined || checkPassword === undefined ? null : () => checkPassword(request, userId, password)
    })
    // Loaded on demand: it takes 50 ms, and each user needs it once.
    const { toDataURL } = await import('qrcode')
    return await reply.code(201).send({
      message: `Scan the QR code, then send the first code to ${app.prefix}/login.`,
      ...enrolment,
      otpQr: await toDataURL(enrolment.otpUrl, { errorCorrectionLevel: 'M' }),
      expiresAt
    })
  }

  app.post('/create', {
    ...create,
    schema: {
      ...create.schema,
      body: Type.Object({
        name: Type.Optional(Name(longest.deviceName, { minLength: 1, description: 'Name of the device.' })),
        ...(checkPassword === undefined ? {} : { password: Type.Optional(Password()) })
      }, { ...strict, examples: [{ name: 'Pixel 9' }] })
    },
    handler: (request, reply) => createHandler(request, reply, request.body)
  })

  app.delete('/rollback', {
    onRequest: session,
    schema: {
      operationId: 'rollBackTotp',
      ...common,
      summary: 'Cancel the pending device of this session, and its codes',
      response: { 200: Message, ...refused([...needsSession, 'OTP_NOT_SET_UP', 'OTP_ALREADY_ENABLED'], { body: true }) }
    },
    handler: async (request) => {
      await rollBack(deps, requesterOf(request))
      return { message: 'The set-up was taken back.' }
    }
  })

  app.post('/login', {
    ...onRepeat(deps.db, { otp_verified: 'OTP_INVALID', otp_enabled: 'OTP_INVALID' }),
    config: limit('code'),
    onRequest: session,
    schema: {
      operationId: 'verifyTotp',
      ...common,
      summary: 'Give a code: confirms a pending device, or verifies this session',
      description: 'An accepted code is used. On an unverified session, and where it confirms a device, it ends that session and ' +
        'answers the tokens of a new one; else it renews the proof.',
      body: Code('The digits that the app shows, of any script; spaces and dashes do not matter.', '492039'),
      response: { 200: answerSchema, ...refused([...needsSession, 'OTP_INVALID', 'OTP_NOT_SET_UP', 'OTP_LOCKED'], { body: true }) }
    },
    handler: async (request, reply) => {
      const { session: proven, reason } = await verifyTotp(deps, requesterOf(request), request.body.token)
      return await finish(request, reply, proven, reason === 'enabled' ? 'have ended' : 'live on') as never
    }
  })

  const regenerate = {
    onRequest: fresh,
    schema: {
      operationId: 'createRecoveryCodes',
      ...common,
      summary: 'Make new recovery codes; the old ones become invalid',
      description: 'The user\'s other sessions end.',
      response: { 201: RecoveryCodes, ...refused([...needsFresh, 'OTP_NOT_SET_UP'], { body: true }) }
    }
  }
  const regenerateHandler = async (request: FastifyRequest, reply: FastifyReply) => {
    const codes = await regenerateRecoveryCodes(deps, requesterOf(request))
    othersEnded(standingOf(request))
    return await reply.code(201).send(codes)
  }
  app.post('/recovery_code/create', { ...regenerate, handler: regenerateHandler })

  app.post('/recovery_code/login', {
    ...onRepeat(deps.db, { recovery_used: 'RECOVERY_CODE_INVALID' }),
    config: limit('code'),
    onRequest: session,
    schema: {
      operationId: 'recover',
      ...common,
      summary: 'Use a recovery code in place of the device',
      description: 'Counts as verified. Clears the lock, ends the requester session and the user\'s unverified ones, and answers the ' +
        'tokens of a new one. ' +
        'Never locked, except the short codes that were imported from another system: they count as codes of an app do.',
      body: Code('One recovery code; case, spaces and dashes do not matter.', '7G3K-9QWE-RTY2-4HJM-PZXC-VB8N'),
      response: {
        200: withCodesLeft(answerSchema),
        ...refused([...needsSession, 'RECOVERY_CODE_INVALID', 'OTP_LOCKED'], { body: true })
      }
    },
    handler: async (request, reply) => {
      const { session: recovered, recoveryCodesLeft } = await recover(deps, requesterOf(request), request.body.token)
      return { ...await finish(request, reply, recovered, 'live on'), recoveryCodesLeft } as never
    }
  })

  app.delete('/delete', {
    ...onRepeat(deps.db, { otp_disabled: 'OTP_NOT_SET_UP' }),
    onRequest: fresh,
    schema: {
      operationId: 'deleteTotp',
      ...common,
      summary: 'Switch the second factor off',
      description: 'Deletes every device and recovery code and ends every session; the answer has the tokens of a new one.',
      response: { 200: answerSchema, ...refused([...needsFresh, 'OTP_NOT_SET_UP'], { body: true }) }
    },
    handler: async (request, reply) => await finish(request, reply, await removeTotp(deps, requesterOf(request)), 'have ended') as never
  })

  await app.register(deviceRoutes, { ...options, common, prefix: '/devices' })

  if (!deprecatedGets) return
  // The first clients call these operations by GET. HEAD must change nothing, so it does not exist.
  const get = { exposeHeadRoute: false, deprecated: true }
  app.get('/create', {
    ...create,
    ...get,
    schema: { ...create.schema, deprecated: true, operationId: 'createTotpByGet', summary: 'As POST /totp/create; for the first clients' },
    handler: (request, reply) => createHandler(request, reply, {})
  })
  app.get('/recovery_code/create', {
    ...regenerate,
    ...get,
    schema: {
      ...regenerate.schema,
      deprecated: true,
      operationId: 'createRecoveryCodesByGet',
      summary: 'As POST /totp/recovery_code/create; for the first clients'
    },
    handler: regenerateHandler
  })
}

export default totpRoutes
