import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { listOauthProfiles } from '../../src/accounts/oauth-profile-statements.js'
import { addOauthProfile, removeOauthProfile, type OauthProfileDeps } from '../../src/accounts/oauth-profiles.js'
import { requesterOf } from '../requester.js'
import { STORABLE, WEB_ADDRESS } from '../../src/core/texts.js'
import { needsFresh, needsVerified, refused } from '../refused.js'
import { DateTime, Id, Line, strict } from '../schemas.js'

const tags = ['Account']

export const oauthProfileExample = {
  id: '5f3c8a52-6f0e-4f0b-9a55-1c6d5f8f2f11',
  oauthServiceName: 'calendar',
  oauthUrl: 'https://calendar.example.org/oauth',
  createdAt: '2026-11-23T09:00:00.000Z'
}
/** External account without its credentials: they are sealed, and no answer has them. */
export const OauthProfile = Type.Object({
  id: Type.String({ format: 'uuid' }),
  oauthServiceName: Type.String(),
  oauthUrl: Type.String(),
  createdAt: DateTime
}, { title: 'OauthProfile', description: 'A linked account.', examples: [oauthProfileExample] })

const OauthProfileList = Type.Array(OauthProfile, {
  title: 'OauthProfileList', description: 'Linked accounts.', examples: [[oauthProfileExample]]
})

const NewOauthProfile = Type.Object({
  oauthServiceName: Line(100, { minLength: 1 }),
  oauthUrl: Type.String({ maxLength: 2048, pattern: WEB_ADDRESS }),
  oauthCredentials: Type.String({
    minLength: 1, maxLength: 8192, pattern: STORABLE, description: 'Credentials from the other service, in its own form.'
  })
}, {
  ...strict,
  title: 'NewOauthProfile',
  examples: [
    { oauthServiceName: 'calendar', oauthUrl: 'https://calendar.example.org/oauth', oauthCredentials: '{"refresh_token":"…"}' }
  ]
})

const oauthProfileRoutes: FastifyPluginAsyncTypebox<OauthProfileDeps & { fresh: onRequestHookHandler }> = async (
  app, { fresh, ...deps }
) => {
  app.get('', {
    schema: {
      operationId: 'listOauthProfiles',
      tags,
      summary: 'Your linked accounts',
      response: { 200: OauthProfileList, ...refused(needsVerified) }
    },
    handler: async ({ countersign }) => await listOauthProfiles(deps.db, countersign!.userId)
  })

  app.post('', {
    onRequest: fresh,
    schema: {
      operationId: 'addOauthProfile',
      tags,
      summary: 'Link an external account',
      description: 'The credentials are encrypted at rest, and no answer contains them.',
      body: NewOauthProfile,
      response: { 201: OauthProfile, ...refused([...needsFresh, 'OAUTH_PROFILE_LIMIT']) }
    },
    handler: async (request, reply) => await reply.code(201).send(await addOauthProfile(deps, requesterOf(request), request.body))
  })

  app.delete('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'removeOauthProfile',
      tags,
      summary: 'Unlink an external account',
      params: Id,
      response: {
        204: Type.Null({ description: 'The link and its credentials are deleted.' }),
        ...refused([...needsFresh, 'NOT_FOUND'])
      }
    },
    handler: async (request, reply) => {
      await removeOauthProfile(deps, requesterOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })
}

export default oauthProfileRoutes
