import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { logIn, type LoginDeps } from '../../src/flows/log-in.js'
import { refresh, revoke, type RefreshDeps } from '../../src/flows/refresh.js'
import { originOf } from '../asking.js'
import { bearer, Line, needsSession, NullableDateTime, Password, refused, strict, TokenPair } from '../schemas.js'

export type TokenRoutesOptions = LoginDeps & RefreshDeps

const tags = ['Tokens']

const tokenRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, deps) => {
  app.post('', {
    config: app.limit('token'),
    schema: {
      operationId: 'logIn',
      tags,
      summary: 'Log in with username and password',
      description: 'Checks the password alone. If `otpRequired`, the session is not verified yet: send a code to `/totp/login` before `otpExpiresAt`.',
      body: Type.Object({
        username: Line(150, { minLength: 1 }),
        password: Password()
      }, { ...strict, examples: [{ username: 'ada', password: 'correct horse battery staple' }] }),
      response: {
        200: Type.Composite([TokenPair, Type.Object({
          otpRequired: Type.Boolean({ description: 'Whether the user has a second factor.' }),
          otpExpiresAt: NullableDateTime
        })], { examples: [{ access: 'eyJ…', refresh: 'eyJ…', otpRequired: true, otpExpiresAt: '2026-11-23T09:05:00.000Z' }] }),
        ...refused(['CREDENTIALS_INVALID', 'BUSY'], { body: true })
      }
    },
    handler: async (request) => {
      const { username, password } = request.body
      const session = await logIn(deps, username, password, originOf(request))
      return {
        ...app.tokens.issue(session),
        otpRequired: session.otpRequired,
        otpExpiresAt: session.otpRequired ? new Date(session.expiresAt * 1000) : null
      }
    }
  })

  app.post('/refresh', {
    schema: {
      operationId: 'refresh',
      tags,
      summary: 'Rotate the refresh token',
      description: 'The token is used up. Shown again within a minute it answers the same pair, until that has been used; after that it ends the session.',
      body: Type.Object({ refresh: Type.String({ minLength: 1, maxLength: 4096 }) }, { ...strict, examples: [{ refresh: 'eyJ…' }] }),
      response: { 200: TokenPair, ...refused(needsSession, { body: true }) }
    },
    handler: async (request) => {
      const claims = app.tokens.verify('refresh', request.body.refresh)
      return app.tokens.issue(await refresh(deps, claims, originOf(request)))
    }
  })

  app.post('/revoke', {
    onRequest: app.countersign.session,
    schema: {
      operationId: 'logOut',
      tags,
      security: bearer,
      summary: 'End this session',
      response: { 204: Type.Null({ description: 'It has ended, on every replica within a second.' }), ...refused(needsSession, { body: true }) }
    },
    handler: async (request, reply) => {
      const { userId, sessionId } = request.countersign!
      await revoke(deps, userId, sessionId, originOf(request))
      return await reply.code(204).send(null)
    }
  })
}

export default tokenRoutes
