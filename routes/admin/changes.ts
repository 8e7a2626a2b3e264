import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { onRequestHookHandler } from 'fastify'
import { Refusal } from '../../src/core/refusals.js'
import { readUser } from '../../src/staff/users.js'
import { resetOtp, setReferences, unlockUser, type StaffDeps } from '../../src/staff/changes.js'
import { refused } from '../refused.js'
import { Id } from '../schemas.js'
import { actorOf } from './actor.js'
import { Done, needsFreshStaff, Reason, References, SetupCode, ShownUser } from './schemas.js'

export interface ChangeRoutesOptions extends StaffDeps {
  /** Hooks that accept staff with a recent proof. */
  fresh: onRequestHookHandler[]
}

const tags = ['Staff']

/** Changes by staff. Each one needs a fresh proof, and leaves an event for the user and one for the member of staff. */
const changeRoutes: FastifyPluginAsyncTypebox<ChangeRoutesOptions> = async (app, { fresh, ...deps }) => {
  app.patch('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'changeUser',
      tags,
      summary: 'Set the references of a user to external accounts',
      params: Id,
      body: References,
      response: { 200: ShownUser, ...refused(needsFreshStaff) }
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
      summary: 'Reset the second factor of a user',
      description: 'Deletes devices and recovery codes and ends every session. The answer has a one-time code: hand it over in person. ' +
        'It must stand beside the password within 24 hours, and the session it opens ' +
        'can only set up a device; so a reset gains a thief of the password nothing. Until a device is ' +
        'confirmed, every log-in needs such a code; a second reset returns a new one. ' +
        'Only the command line can reset a member of staff.',
      params: Id,
      body: Reason,
      response: {
        200: SetupCode,
        ...refused([...needsFreshStaff, 'STAFF_PROTECTED'])
      }
    },
    handler: async (request) => await resetOtp(deps, actorOf(request), request.params.id, request.body.reason)
  })

  app.post('/:id/unlock', {
    onRequest: fresh,
    schema: {
      operationId: 'unlockUser',
      tags,
      summary: 'Clear the lock that wrong codes caused',
      params: Id,
      response: { 204: Done, ...refused(needsFreshStaff) }
    },
    handler: async (request, reply) => {
      await unlockUser(deps, actorOf(request), request.params.id)
      return await reply.code(204).send(null)
    }
  })
}

export default changeRoutes
