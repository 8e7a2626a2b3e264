import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { shownAgent } from '../../src/core/agents.js'
import { listSessions } from '../../src/sessions/list.js'
import { endOne, endOthers, type SessionListDeps } from '../../src/sessions/end.js'
import { requesterOf } from '../requester.js'
import { needsFresh, refused } from '../refused.js'
import { DateTime, Id } from '../schemas.js'

const tags = ['Account']

const Session = Type.Object({
  id: Type.String({ format: 'uuid' }),
  ip: Type.String({ description: 'Address from which it started.' }),
  agent: Type.String({ description: 'User agent of its browser or program.' }),
  startedAt: DateTime,
  lastSeenAt: Type.Unsafe<Date>({ ...DateTime, description: 'When it last got tokens.' }),
  expiresAt: DateTime,
  isVerified: Type.Boolean({ description: 'True if it has given a code.' }),
  isThis: Type.Boolean({ description: 'True if it is the session of this request.' })
}, { title: 'Session' })

const SessionList = Type.Array(Session, {
  title: 'SessionList',
  description: 'Sessions that have not ended, the last seen first.',
  examples: [[{
    id: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    ip: '198.51.100.7',
    agent: 'Firefox on Linux',
    startedAt: '2026-11-23T09:00:00.000Z',
    lastSeenAt: '2026-11-23T09:25:00.000Z',
    expiresAt: '2026-12-23T09:00:00.000Z',
    isVerified: true,
    isThis: true
  }]]
})

const sessionListRoutes: FastifyPluginAsyncTypebox<SessionListDeps & { fresh: onRequestHookHandler }> = async (app, { fresh, ...deps }) => {
  app.get('', {
    onRequest: fresh,
    schema: {
      operationId: 'listSessions',
      tags,
      summary: 'Your sessions',
      description: 'Your sessions that have not ended, the last seen first; 200 at most.',
      response: {
        200: SessionList,
        ...refused(needsFresh)
      }
    },
    handler: async ({ countersign }) => {
      const { userId, sessionId } = countersign!
      const sessions = await listSessions(deps.db, userId, deps.refreshSeconds)
      return sessions.map((session) => ({ ...session, agent: shownAgent(session.agent), isThis: session.id === sessionId }))
    }
  })

  app.delete('', {
    onRequest: fresh,
    schema: {
      operationId: 'endOtherSessions',
      tags,
      summary: 'End all sessions but this one',
      response: {
        204: Type.Null({ description: 'They have ended, on every replica within a second.' }), ...refused(needsFresh)
      }
    },
    handler: async (request, reply) => {
      await endOthers(deps, requesterOf(request))
      return await reply.code(204).send(null)
    }
  })

  app.delete('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'endSession',
      tags,
      summary: 'End one of your sessions',
      params: Id,
      response: {
        204: Type.Null({ description: 'It has ended, on every replica within a second.' }),
        ...refused([...needsFresh, 'NOT_FOUND'])
      }
    },
    handler: async (request, reply) => {
      await endOne(deps, requesterOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })
}

export default sessionListRoutes
