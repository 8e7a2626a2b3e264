import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { changePassword, changeProfile, removeAccount, showAccount, type AccountDeps } from '../../src/accounts/account.js'
import { needsFresh, needsVerified, refused } from '../refused.js'
import { onRepeat } from '../repeats.js'
import { requesterOf } from '../requester.js'
import { requirePersonalNames, TokenPair } from '../schemas.js'
import { Account, PasswordChange, ProfileChange } from './schemas.js'

const tags = ['Account']

/** Profile and password. */
const profileRoutes: FastifyPluginAsyncTypebox<AccountDeps & { fresh: onRequestHookHandler }> = async (app, { fresh, ...deps }) => {
  app.get('', {
    schema: {
      operationId: 'getAccount',
      tags,
      summary: 'Your account',
      response: { 200: Account, ...refused([...needsVerified, 'NOT_FOUND']) }
    },
    handler: async ({ countersign }) => await showAccount(deps, countersign!.userId)
  })

  app.patch('', {
    schema: {
      operationId: 'changeAccount',
      tags,
      summary: 'Change your profile',
      description: 'A member that is absent stays as it is. Another e-mail address or telephone number asks for a proof within ' +
        '`OTP_FRESH_SECONDS`; another address ends your other sessions. Where mails are sent, it replaces a verified one only when ' +
        'it is verified too, and the verified one gets a link that undoes the change.',
      body: ProfileChange,
      response: { 200: Account, ...refused([...needsFresh, 'NOT_FOUND']) }
    },
    handler: async (request) => await changeProfile(deps, requesterOf(request), requirePersonalNames(request.body))
  })

  app.delete('', {
    onRequest: fresh,
    schema: {
      operationId: 'deleteAccount',
      tags,
      summary: 'Delete your account',
      description: 'Deletes all data of the account, ends every session, and frees the username.',
      response: { 204: Type.Null({ description: 'The account is deleted.' }), ...refused(needsFresh) }
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
      summary: 'Change your password',
      description: 'Every session ends, and earlier tokens are refused; the answer has the tokens of a new one. A wrong current ' +
        'password is 403 `REAUTH_REQUIRED`, and counts as a guess as it does at the log-in.',
      body: PasswordChange,
      response: {
        200: TokenPair,
        ...refused([...needsFresh, 'REAUTH_REQUIRED', 'PASSWORD_UNACCEPTABLE', 'CONFLICT', 'BUSY'])
      }
    },
    handler: async (request) => {
      const { current, next } = request.body
      return app.tokens.answer(await changePassword(deps, requesterOf(request), current, next))
    }
  })
}

export default profileRoutes
