import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { deactivate, demote, promote, reactivate, resumeMail } from '../../src/staff/changes.js'
import { refused } from '../refused.js'
import { Id } from '../schemas.js'
import { actorOf } from './actor.js'
import type { ChangeRoutesOptions } from './changes.js'
import { Done, needsFreshStaff, OptionalReason, Reason } from './schemas.js'

const tags = ['Staff']

/** Accounts that may log in or not, the role of staff, and mails to an address. */
const standingRoutes: FastifyPluginAsyncTypebox<ChangeRoutesOptions> = async (app, { fresh, ...deps }) => {
  app.post('/:id/deactivate', {
    onRequest: fresh,
    schema: {
      operationId: 'deactivateUser',
      tags,
      summary: 'Deactivate the account of a user',
      description: 'Ends every session. The user cannot log in.',
      params: Id,
      body: Reason,
      response: { 204: Done, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await deactivate(deps, actorOf(request), request.params.id, request.body.reason)
      return await reply.code(204).send(null)
    }
  })

  app.post('/:id/reactivate', {
    onRequest: fresh,
    schema: {
      operationId: 'reactivateUser',
      tags,
      summary: 'Reactivate the account of a user',
      params: Id,
      body: OptionalReason,
      response: { 204: Done, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await reactivate(deps, actorOf(request), request.params.id, request.body.reason ?? null)
      return await reply.code(204).send(null)
    }
  })

  app.post('/:id/promote', {
    onRequest: fresh,
    schema: {
      operationId: 'promoteUser',
      tags,
      summary: 'Make a user a member of staff',
      description: 'The user has a second factor, or a set-up code to give beside the password; else `OTP_NOT_SET_UP`. ' +
        'Already staff: nothing changes.',
      params: Id,
      body: Reason,
      response: { 204: Done, ...refused([...needsFreshStaff, 'OTP_NOT_SET_UP']) }
    },
    handler: async (request, reply) => {
      await promote(deps, actorOf(request), request.params.id, request.body.reason)
      return await reply.code(204).send(null)
    }
  })

  app.post('/:id/demote', {
    onRequest: fresh,
    schema: {
      operationId: 'demoteUser',
      tags,
      summary: 'Make a member of staff an ordinary user',
      description: 'From the next request on, in every session. No session ends. Not staff: nothing changes.',
      params: Id,
      body: Reason,
      response: { 204: Done, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await demote(deps, actorOf(request), request.params.id, request.body.reason)
      return await reply.code(204).send(null)
    }
  })

  app.post('/:id/resume-mail', {
    onRequest: fresh,
    schema: {
      operationId: 'resumeUserMail',
      tags,
      summary: 'Let mails go to the address of a user again',
      description: 'Clears `emailStoppedAt` and `passwordLinksStoppedAt`. Nothing stopped: nothing changes.',
      params: Id,
      body: Reason,
      response: { 204: Done, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await resumeMail(deps, actorOf(request), request.params.id, request.body.reason)
      return await reply.code(204).send(null)
    }
  })
}

export default standingRoutes
