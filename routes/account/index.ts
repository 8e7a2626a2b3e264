import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { longest } from '../../src/core/texts.js'
import { changePassword, changeProfile, removeAccount, showAccount, type AccountDeps } from '../../src/accounts/account.js'
import type { OauthProfileDeps } from '../../src/accounts/oauth-profiles.js'
import type { SessionListDeps } from '../../src/sessions/end.js'
import { requesterOf } from '../requester.js'
import { guarded } from '../guarded.js'
import { onRepeat } from '../repeats.js'
import {
  bearer, DateTime, Email, Line, Name, needsFresh,
  needsVerified, Password, refused, requirePersonalNames, strict, TokenPair
} from '../schemas.js'
import oauthProfileRoutes, { OauthProfile, oauthProfileExample } from './oauth-profiles.js'
import securityEventRoutes from './security-events.js'
import sessionListRoutes from './sessions.js'

export type AccountRoutesOptions = AccountDeps & OauthProfileDeps & SessionListDeps

const tags = ['Account']
const Reference = Type.Union([Type.Integer(), Type.Null()], { description: 'Of an account elsewhere. Staff set it.' })
const Account = Type.Object({
  id: Type.String({ format: 'uuid' }),
  username: Type.String(),
  email: Type.String(),
  phone: Type.String(),
  firstName: Type.String(),
  lastName: Type.String(),
  powerAccountId: Reference,
  powerContactId: Reference,
  isOtpEnabled: Type.Boolean({ description: 'Derived: whether a device is confirmed.' }),
  oauthProfiles: Type.Array(OauthProfile),
  createdAt: DateTime,
  updatedAt: DateTime
}, {
  examples: [{
    id: '0f8fad5b-d9cb-469f-a165-70867728950e',
    username: 'ada',
    email: 'ada@example.org',
    phone: '',
    firstName: 'Ada',
    lastName: 'Lovelace',
    powerAccountId: null,
    powerContactId: null,
    isOtpEnabled: true,
    oauthProfiles: [oauthProfileExample],
    createdAt: '2026-11-23T09:00:00.000Z',
    updatedAt: '2026-11-23T09:00:00.000Z'
  }]
})

const accountRoutes: FastifyPluginAsyncTypebox<AccountRoutesOptions> = async (app, deps) => {
  guarded(app, app.otpVerified)
  const fresh = app.otpVerified({ maxAge: deps.freshSeconds })

  app.get('', {
    schema: {
      operationId: 'readAccount',
      tags,
      security: bearer,
      summary: 'Your account',
      response: { 200: Account, ...refused([...needsVerified, 'NOT_FOUND']) }
    },
    handler: async ({ countersign }) => await showAccount(deps, countersign!.userId)
  })

  app.patch('', {
    schema: {
      operationId: 'changeAccount',
      tags,
      security: bearer,
      summary: 'Change your profile',
      description: 'A member that is absent stays as it is. Another e-mail address or telephone number asks for a proof within ' +
        '`OTP_FRESH_SECONDS`; ' +
        'another address ends your other sessions.',
      body: Type.Object({
        email: Type.Optional(Email),
        phone: Type.Optional(Line(longest.phone)),
        firstName: Type.Optional(Name(longest.firstName)),
        lastName: Type.Optional(Name(longest.lastName))
      }, { ...strict, minProperties: 1, examples: [{ phone: '+44 20 7946 0000', firstName: 'Augusta Ada' }] }),
      response: { 200: Account, ...refused([...needsFresh, 'NOT_FOUND'], { body: true }) }
    },
    handler: async (request) => await changeProfile(deps, requesterOf(request), requirePersonalNames(request.body))
  })

  app.delete('', {
    onRequest: fresh,
    schema: {
      operationId: 'deleteAccount',
      tags,
      security: bearer,
      summary: 'Delete your account',
      description: 'Deletes all data of the account, ends every session, and frees the username.',
      response: { 204: Type.Null({ description: 'The account is deleted.' }), ...refused(needsFresh, { body: true }) }
    },
    handler: async (request, reply) => {
      await removeAccount(deps, requesterOf(request))
      return await reply.code(204).send(null)
    }
  })

  app.post('/password', {
    ...onRepeat(deps.db, { password_changed: 'CONFLICT' }),
    config: app.limit('token'),
    onRequest: fresh,
    schema: {
      operationId: 'changePassword',
      tags,
      security: bearer,
      summary: 'Change your password',
      description: 'Every session ends, and earlier tokens are refused; the answer has the tokens of a new one. A wrong current ' +
        'password is 403 `REAUTH_REQUIRED`, and counts as a guess as it does at the log-in.',
      body: Type.Object({
        current: Password(),
        next: Password({ description: 'At least `PASSWORD_MIN_LENGTH` characters, any characters, not a common one, not the username.' })
      }, { ...strict, examples: [{ current: 'correct horse battery staple', next: 'a stapler, a horse, a battery' }] }),
      response: {
        200: TokenPair, ...refused([...needsFresh, 'REAUTH_REQUIRED', 'PASSWORD_UNACCEPTABLE', 'CONFLICT', 'BUSY'], { body: true })
      }
    },
    handler: async (request) => {
      const { current, next } = request.body
      return app.tokens.issue(await changePassword(deps, requesterOf(request), current, next))
    }
  })

  await app.register(oauthProfileRoutes, { ...deps, prefix: '/oauth-profiles', fresh })
  await app.register(sessionListRoutes, { ...deps, prefix: '/sessions', fresh })
  await app.register(securityEventRoutes, { ...deps, prefix: '/security-events' })
}

export default accountRoutes
