import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { listOauthProfiles } from '../../src/accounts/oauth-profile-statements.js'
import { addOauthProfile, removeOauthProfile, type OauthProfileDeps } from '../../src/accounts/oauth-profiles.js'
import { requesterOf } from '../requester.js'
import { bearer, DateTime, Id, Line, needsFresh, needsVerified, refused, strict } from '../schemas.js'

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
}, { examples: [oauthProfileExample] })

const oauthProfileRoutes: FastifyPluginAsyncTypebox<OauthProfileDeps & { fresh: onRequestHookHandler }> = async (
  app, { fresh, ...deps }
) => {
  app.get('', {
    schema: {
      operationId: 'listOauthProfiles',
      tags,
      security: bearer,
      summary: 'Your linked accounts',
      response: { 200: Type.Array(OauthProfile, { examples: [[oauthProfileExample]] }), ...refused(needsVerified) }
    },
    handler: async ({ countersign }) => await listOauthProfiles(deps.db, countersign!.userId)
  })

  app.post('', {
    onRequest: fresh,
    schema: {
      operationId: 'addOauthProfile',
      tags,
      security: bearer,
      summary: 'Link an external account',
      description: 'The credentials are encrypted at rest, and no answer contains them.',
      body: Type.Object({
        oauthServiceName: Line(100, { minLength: 1 }),
        oauthUrl: Type.String({ maxLength: 2048, pattern: '^https?://[^\\s\\p{Cc}\\p{Cs}]+$' }),
        oauthCredentials: Type.String({
          minLength: 1, maxLength: 8192, pattern: '^[^\\0\\p{Cs}]+$', description: 'Credentials from the other service, in its own form.'
        })
      }, {
        ...strict,
        examples: [
          { oauthServiceName: 'calendar', oauthUrl: 'https://calendar.example.org/oauth', oauthCredentials: '{"refresh_token":"…"}' }
        ]
      }),
      response: { 201: OauthProfile, ...refused([...needsFresh, 'OAUTH_PROFILE_LIMIT'], { body: true }) }
    },
    handler: async (request, reply) => await reply.code(201).send(await addOauthProfile(deps, requesterOf(request), request.body))
  })

  app.delete('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'removeOauthProfile',
      tags,
      security: bearer,
      summary: 'Unlink an external account',
      params: Id,
      response: {
        204: Type.Null({ description: 'The link and its credentials are deleted.' }),
        ...refused([...needsFresh, 'NOT_FOUND'], { body: true })
      }
    },
    handler: async (request, reply) => {
      await removeOauthProfile(deps, requesterOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })
}

export default oauthProfileRoutes
