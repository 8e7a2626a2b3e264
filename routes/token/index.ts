import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { soughtName } from '../../src/core/normal-forms.js'
import { Refusal } from '../../src/core/refusals.js'
import { USERNAME_MAX_LENGTH } from '../../src/core/usernames.js'
import { logIn, type LoginDeps } from '../../src/accounts/log-in.js'
import { refresh, revoke, type RefreshDeps } from '../../src/sessions/refresh.js'
import { originOf } from '../requester.js'
import { needsSession, refused } from '../refused.js'
import { Name, NullableDateTime, open, Password, strict, TokenPair, TypedCode } from '../schemas.js'

export type TokenRoutesOptions = LoginDeps & RefreshDeps

const tags = ['Tokens']

const Credentials = Type.Object({
  username: Name(USERNAME_MAX_LENGTH, {
    minLength: 1,
    description: 'In any case and width, with or without white space at its ends.'
  }),
  password: Password,
  setupCode: Type.Optional(TypedCode(
    'Code from staff, after they reset your second factor. Used once; case, spaces and dashes do not matter.', { minLength: 1 }
  ))
}, { ...strict, title: 'Credentials', examples: [{ username: 'ada', password: 'correct horse battery staple' }] })

const LoginAnswer = Type.Composite([TokenPair, Type.Object({
  otpDeadline: Type.Unsafe<Date | null>({
    ...NullableDateTime,
    description: 'Time after which this session can only set up a second factor; null if the policy requires none, or the ' +
      'user has one.'
  })
})], {
  title: 'LoginAnswer',
  description: 'Tokens of a new session.',
  examples: [{
    access: 'eyJ…',
    refresh: 'eyJ…',
    expiresIn: 300,
    otpRequired: true,
    otpMethods: ['totp', 'recovery_code'],
    otpExpiresAt: '2026-11-23T09:05:00.000Z',
    otpDeadline: null
  }]
})

const RefreshToken = Type.Object({
  refresh: Type.String({ minLength: 1, maxLength: 4096 }),
  extend: Type.Optional(Type.Boolean({
    description: 'True gives a session that is not verified yet more time: it ends `OTP_PENDING_SECONDS` from now, and eleven times ' +
      'that after the log-in at the latest. The answer has its new `otpExpiresAt`. Send it when the user asks for it.'
  }))
}, { ...strict, title: 'RefreshToken', examples: [{ refresh: 'eyJ…' }] })

const tokenRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, deps) => {
  app.post('', {
    config: app.limit('token'),
    schema: {
      operationId: 'logIn',
      tags,
      security: open,
      summary: 'Log in with username and password',
      description: 'Checks the password alone. If `otpRequired`, the session is not verified yet: send a code to `/totp/login` before ' +
        '`otpExpiresAt`. ' +
        'Where staff reset the second factor, their set-up code must stand beside the password, and the session it opens can only set ' +
        'up a device.',
      body: Credentials,
      response: {
        200: LoginAnswer,
        ...refused(['CREDENTIALS_INVALID', 'SETUP_CODE_REQUIRED', 'BUSY'])
      }
    },
    handler: async (request) => {
      const { username, password, setupCode = null } = request.body
      if (soughtName(username, USERNAME_MAX_LENGTH) === null) {
        throw new Refusal('REQUEST_INVALID', {
          field: 'username', hint: { key: 'oneLine', values: { subject: 'username', limit: USERNAME_MAX_LENGTH } }
        })
      }
      const session = await logIn(deps, username, password, setupCode, originOf(request))
      return {
        ...app.tokens.answer(session),
        otpDeadline: session.otpDeadline === null ? null : new Date(session.otpDeadline * 1000)
      }
    }
  })

  app.post('/refresh', {
    schema: {
      operationId: 'refreshTokens',
      tags,
      security: open,
      summary: 'Rotate the refresh token',
      description: 'The token is used up. Presented again it answers the same new refresh token, since answers get lost, until that ' +
        'one has been used; from then on it ends the session.',
      body: RefreshToken,
      response: { 200: TokenPair, ...refused(needsSession) }
    },
    handler: async (request) => {
      const { refresh: token, extend = false } = request.body
      return app.tokens.answer(await refresh(deps, { ...app.tokens.readRefresh(token), extend }, originOf(request)))
    }
  })

  app.post('/revoke', {
    onRequest: app.countersign.session,
    schema: {
      operationId: 'logOut',
      tags,
      summary: 'End this session',
      response: {
        204: Type.Null({ description: 'It has ended, on every replica within a second.' }), ...refused(needsSession)
      }
    },
    handler: async (request, reply) => {
      const { userId, sessionId } = request.countersign!
      await revoke(deps, userId, sessionId, originOf(request))
      return await reply.code(204).send(null)
    }
  })
}

export default tokenRoutes
