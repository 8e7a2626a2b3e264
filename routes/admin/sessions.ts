import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { shownAgent } from '../../src/core/agents.js'
import { Refusal } from '../../src/core/refusals.js'
import { listSessions } from '../../src/sessions/list.js'
import { hasUser } from '../../src/staff/users.js'
import { endUserSession, endUserSessions, type StaffDeps } from '../../src/staff/changes.js'
import { refused } from '../refused.js'
import { Id, Uuid } from '../schemas.js'
import { actorOf } from './actor.js'
import { needsFreshStaff, needsStaff, UserSessionList } from './schemas.js'

export interface SessionRoutesOptions extends StaffDeps {
  /** Hooks that accept staff (`staff`), and staff with a recent proof (`fresh`). */
  staff: onRequestHookHandler[]
  fresh: onRequestHookHandler[]
  /** Time for which a session may be idle, in seconds. */
  refreshSeconds: number
}

const tags = ['Staff']
const Ended = Type.Null({ description: 'Ended, on every replica within a second.' })
const Params = Type.Object({ id: Uuid, sessionId: Uuid })

/** Lists and ends a user's sessions. */
const sessionRoutes: FastifyPluginAsyncTypebox<SessionRoutesOptions> = async (app, { staff, fresh, ...deps }) => {
  app.get('', {
    onRequest: staff,
    schema: {
      operationId: 'listUserSessions',
      tags,
      summary: 'Sessions of a user',
      description: 'Sessions that have not ended, the last seen first; 200 at most.',
      params: Id,
      response: { 200: UserSessionList, ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params }) => {
      if (!await hasUser(deps.db, params.id)) throw new Refusal('NOT_FOUND')
      const sessions = await listSessions(deps.db, params.id, deps.refreshSeconds)
      return sessions.map((session) => ({ ...session, agent: shownAgent(session.agent) }))
    }
  })

  app.delete('', {
    onRequest: fresh,
    schema: {
      operationId: 'endUserSessions',
      tags,
      summary: 'End every session of a user',
      description: 'Password and second factor stay as they are: the user may log in again.',
      params: Id,
      response: { 204: Ended, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await endUserSessions(deps, actorOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })

  app.delete('/:sessionId', {
    onRequest: fresh,
    schema: {
      operationId: 'endUserSession',
      tags,
      summary: 'End one session of a user',
      params: Params,
      response: { 204: Ended, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await endUserSession(deps, actorOf(request), request.params.id, request.params.sessionId)
      return await reply.code(204).send(null)
    }
  })
}

export default sessionRoutes
