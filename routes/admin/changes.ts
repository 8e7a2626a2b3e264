import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { Refusal } from '../../src/core/refusals.js'
import { longest } from '../../src/core/texts.js'
import { readUser } from '../../src/staff/users.js'
import { deactivate, demote, promote, reactivate, resetOtp, setReferences, unlockUser, type StaffDeps } from '../../src/staff/changes.js'
import { bearer, DateTime, Id, Line, refused, strict } from '../schemas.js'
import { actorOf } from './actor.js'
import { Done, needsFreshStaff, ShownUser } from './schemas.js'

export interface ChangeRoutesOptions extends StaffDeps {
  /** Hooks that accept staff with a recent proof. */
  fresh: onRequestHookHandler[]
}

const tags = ['Staff']

const Reason = Line(longest.reason, { minLength: 1, description: 'Reason. The user reads it in the own security events.' })
/** An absent field stays; null removes it. */
const Reference = Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), Type.Null()]))

/** Changes by staff. Each one needs a fresh proof, and leaves an event for the user and one for the member of staff. */
const changeRoutes: FastifyPluginAsyncTypebox<ChangeRoutesOptions> = async (app, { fresh, ...deps }) => {
  app.patch('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'changeUser',
      tags,
      security: bearer,
      summary: 'Set the references of a user to external accounts',
      params: Id,
      body: Type.Object(
        { powerAccountId: Reference, powerContactId: Reference },
        { ...strict, minProperties: 1, examples: [{ powerAccountId: 815, powerContactId: null }] }
      ),
      response: { 200: ShownUser, ...refused(needsFreshStaff, { body: true }) }
    },
    handler: async (request) => {
      await setReferences(deps, actorOf(request), request.params.id, request.body)
      const user = await readUser(deps.db, request.params.id)
      if (user === undefined) throw new Refusal('NOT_FOUND')
      return user
    }
  })

  app.post('/:id/reset-otp', {
    onRequest: fresh,
    schema: {
      operationId: 'resetUserOtp',
      tags,
      security: bearer,
      summary: 'Reset the second factor of a user',
      description: 'Deletes devices and recovery codes and ends every session. The answer has a one-time code: hand it over in person. ' +
        'It must stand beside the password within 24 hours, ' +
        'and the session it opens can only set up a device; so a reset gains a thief of the password nothing. Until a device is ' +
        'confirmed, every log-in needs such a code; a second reset returns a new one. ' +
        'Only the command line can reset a member of staff.',
      params: Id,
      body: Type.Object({ reason: Reason }, { ...strict, examples: [{ reason: 'Lost the phone; came to the desk with a passport.' }] }),
      response: {
        200: Type.Object({ setupCode: Type.String({ description: 'Shown now and never again.' }), expiresAt: DateTime }, {
          examples: [{ setupCode: '7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', expiresAt: '2026-11-24T09:00:00.000Z' }]
        }),
        ...refused([...needsFreshStaff, 'STAFF_PROTECTED'], { body: true })
      }
    },
    handler: async (request) => await resetOtp(deps, actorOf(request), request.params.id, request.body.reason)
  })

  app.post('/:id/unlock', {
    onRequest: fresh,
    schema: {
      operationId: 'unlockUser',
      tags,
      security: bearer,
      summary: 'Clear the lock that wrong codes caused',
      params: Id,
      response: { 204: Done, ...refused(needsFreshStaff, { body: true }) }
    },
    handler: async (request, reply) => {
      await unlockUser(deps, actorOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })

  app.post('/:id/deactivate', {
    onRequest: fresh,
    schema: {
      operationId: 'deactivateUser',
      tags,
      security: bearer,
      summary: 'Deactivate the account of a user',
      description: 'Ends every session. The user cannot log in.',
      params: Id,
      body: Type.Object({ reason: Reason }, { ...strict, examples: [{ reason: 'Left the company.' }] }),
      response: { 204: Done, ...refused(needsFreshStaff, { body: true }) }
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
      security: bearer,
      summary: 'Reactivate the account of a user',
      params: Id,
      body: Type.Object({ reason: Type.Optional(Reason) }, { ...strict, examples: [{ reason: 'Came back.' }] }),
      response: { 204: Done, ...refused(needsFreshStaff, { body: true }) }
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
      security: bearer,
      summary: 'Make a user a member of staff',
      description: 'The user has a second factor, or a set-up code to give beside the password; else `OTP_NOT_SET_UP`. ' +
        'Already staff: nothing changes.',
      params: Id,
      body: Type.Object({ reason: Reason }, { ...strict, examples: [{ reason: 'Joined the support team.' }] }),
      response: { 204: Done, ...refused([...needsFreshStaff, 'OTP_NOT_SET_UP'], { body: true }) }
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
      security: bearer,
      summary: 'Make a member of staff an ordinary user',
      description: 'From the next request on, in every session. No session ends. Not staff: nothing changes.',
      params: Id,
      body: Type.Object({ reason: Reason }, { ...strict, examples: [{ reason: 'Left the support team.' }] }),
      response: { 204: Done, ...refused(needsFreshStaff, { body: true }) }
    },
    handler: async (request, reply) => {
      await demote(deps, actorOf(request), request.params.id, request.body.reason)
      return await reply.code(204).send(null)
    }
  })
}

export default changeRoutes
