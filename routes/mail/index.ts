import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { undoEmailChange } from '../../src/accounts/mail/address-change.js'
import { askPasswordReset, resetPassword, type PasswordResetDeps } from '../../src/accounts/mail/password-reset.js'
import { askVerification, confirmEmail, type VerificationDeps } from '../../src/accounts/mail/verification.js'
import { soughtName } from '../../src/core/normal-forms.js'
import { Refusal } from '../../src/core/refusals.js'
import { USERNAME_MAX_LENGTH } from '../../src/core/usernames.js'
import { needsVerified, refused } from '../refused.js'
import { originOf, requesterOf } from '../requester.js'
import { Message, open } from '../schemas.js'
import pageRoutes, { type PageRoutesOptions } from './pages.js'
import { ForgottenPassword, LinkToken, PasswordReset } from './schemas.js'

export type MailRoutesOptions = VerificationDeps & PasswordResetDeps & PageRoutesOptions

const tags = ['Mail']
const Sent = Type.Unsafe<{ message: string }>({ ...Message, description: 'If there is anything to send, it is sent soon.' })
const sent = { message: 'If there is anything to send, it is sent soon.' }
const Done = Type.Null({ description: 'It is done.' })

/** What mails are asked for with, and what their links lead to. Exist only where mails are sent. */
const mailRoutes: FastifyPluginAsyncTypebox<MailRoutesOptions> = async (app, deps) => {
  await app.register(addressRoutes, { ...deps, prefix: '/account/email' })
  await app.register(passwordRoutes, { ...deps, prefix: '/password' })
  await app.register(pageRoutes, deps)
}

/** The address of an account. */
const addressRoutes: FastifyPluginAsyncTypebox<MailRoutesOptions> = async (app, deps) => {
  app.post('/verify', {
    config: app.limit('mail'),
    onRequest: app.otpVerified,
    schema: {
      operationId: 'requestEmailVerification',
      tags,
      summary: 'Mail yourself a link that verifies your e-mail address',
      description: 'To the new address, if you gave one that is not verified yet. Once an hour and three times a day at most. Nothing ' +
        'is sent if the address is verified.',
      response: { 202: Sent, ...refused(needsVerified) }
    },
    handler: async (request, reply) => {
      await askVerification(deps, requesterOf(request))
      return await reply.code(202).send(sent)
    }
  })

  app.post('/confirm', {
    config: app.limit('token'),
    schema: {
      operationId: 'confirmEmail',
      tags,
      security: open,
      summary: 'Verify an e-mail address by the token of a link',
      body: LinkToken,
      response: { 204: Done, ...refused(['LINK_INVALID']) }
    },
    handler: async (request, reply) => {
      await confirmEmail(deps, request.body.token, originOf(request))
      return await reply.code(204).send(null)
    }
  })

  app.post('/undo', {
    config: app.limit('token'),
    schema: {
      operationId: 'undoEmailChange',
      tags,
      security: open,
      summary: 'Undo a change of the e-mail address by the token of a link',
      description: 'Ends every session and puts the earlier address back. No link for a new password is mailed then until you log in, ' +
        'with your second factor if you have one.',
      body: LinkToken,
      response: { 204: Done, ...refused(['LINK_INVALID']) }
    },
    handler: async (request, reply) => {
      await undoEmailChange(deps, request.body.token, originOf(request))
      return await reply.code(204).send(null)
    }
  })
}

/** Forgotten passwords. */
const passwordRoutes: FastifyPluginAsyncTypebox<MailRoutesOptions> = async (app, deps) => {
  app.post('/forgot', {
    config: app.limit('mail'),
    schema: {
      operationId: 'requestPasswordReset',
      tags,
      security: open,
      summary: 'Ask for a link for a new password',
      description: 'It is mailed to the verified address of the account. The answer is the same whether the account exists or not.',
      body: ForgottenPassword,
      response: { 202: Sent, ...refused([]) }
    },
    handler: async (request, reply) => {
      const { username } = request.body
      // No account has such a name, so this tells of none.
      if (soughtName(username, USERNAME_MAX_LENGTH) === null) {
        throw new Refusal('REQUEST_INVALID', { hint: { key: 'usernameUnknownForm' } })
      }
      await askPasswordReset(deps, username)
      return await reply.code(202).send(sent)
    }
  })

  app.post('/reset', {
    config: app.limit('token'),
    schema: {
      operationId: 'resetPassword',
      tags,
      security: open,
      summary: 'Set a new password by the token of a link',
      description: 'Every session ends and none starts. The second factor stays, and the next log-in asks for it. An unacceptable ' +
        'password does not use up the link.',
      body: PasswordReset,
      response: { 204: Done, ...refused(['LINK_INVALID', 'PASSWORD_UNACCEPTABLE', 'BUSY']) }
    },
    handler: async (request, reply) => {
      const { token, next } = request.body
      await resetPassword(deps, token, next, originOf(request))
      return await reply.code(204).send(null)
    }
  })
}

export default mailRoutes
