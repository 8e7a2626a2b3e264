import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Refusal } from '../../src/core/refusals.js'
import { longest } from '../../src/core/texts.js'
import { USERNAME_MAX_LENGTH } from '../../src/core/usernames.js'
import { signUp, type SignUpDeps } from '../../src/accounts/sign-up.js'
import { originOf } from '../requester.js'
import { refused } from '../refused.js'
import { DateTime, Email, Name, NewPassword, open, Phone, requirePersonalNames, strict } from '../schemas.js'
import { acceptedLanguage } from './language.js'

export interface UserRoutesOptions extends SignUpDeps { isOpen: boolean }

const NewUser = Type.Object({
  username: Name(USERNAME_MAX_LENGTH, {
    minLength: 1,
    description: `1 to ${USERNAME_MAX_LENGTH} letters, digits and @ . + - _ of any script, kept in compatibility form (NFKC). ` +
      'Found in any case.'
  }),
  email: Email,
  password: NewPassword,
  firstName: Type.Optional(Name(longest.firstName)),
  lastName: Type.Optional(Name(longest.lastName)),
  phone: Type.Optional(Phone)
}, {
  ...strict, title: 'NewUser', examples: [{ username: 'ada', email: 'ada@example.org', password: 'correct horse battery staple' }]
})

const SignedUp = Type.Object({ id: Type.String({ format: 'uuid' }), username: Type.String(), createdAt: DateTime }, {
  title: 'SignedUp',
  description: 'The new account.',
  examples: [{ id: '0f8fad5b-d9cb-469f-a165-70867728950e', username: 'ada', createdAt: '2026-11-23T09:00:00.000Z' }]
})

const userRoutes: FastifyPluginAsyncTypebox<UserRoutesOptions> = async (app, { isOpen, ...deps }) => {
  app.post('', {
    config: app.limit('signUp'),
    schema: {
      operationId: 'signUp',
      tags: ['Account'],
      security: open,
      summary: 'Sign up',
      body: NewUser,
      response: {
        201: SignedUp,
        ...refused(['PASSWORD_UNACCEPTABLE', 'SIGN_UP_CLOSED', 'USERNAME_TAKEN', 'BUSY'])
      }
    },
    handler: async (request, reply) => {
      if (!isOpen) throw new Refusal('SIGN_UP_CLOSED')
      const { firstName = '', lastName = '', phone = '', ...person } = requirePersonalNames(request.body)
      const given = { ...person, firstName, lastName, phone, locale: acceptedLanguage(request) }
      return await reply.code(201).send(await signUp(deps, given, originOf(request)))
    }
  })
}

export default userRoutes
