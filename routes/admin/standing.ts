import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TSchema } from '@sinclair/typebox'
import type { RefusalCode } from '../../src/core/refusals.js'
import { deactivate, demote, promote, reactivate, resumeMail, type StaffDeps } from '../../src/staff/changes.js'
import type { Actor } from '../../src/staff/statements.js'
import { refused } from '../refused.js'
import { Id } from '../schemas.js'
import { actorOf } from './actor.js'
import type { ChangeRoutesOptions } from './changes.js'
import { Done, needsFreshStaff, OptionalReason, Reason } from './schemas.js'

/** A change that takes a reason and answers nothing. */
interface Change {
  path: string
  operationId: string
  summary: string
  description?: string
  /** Schema of the body. @default a reason */
  body?: TSchema
  codes?: RefusalCode[]
  work (deps: StaffDeps, actor: Actor, userId: string, reason: string | null): Promise<void>
}

const changes: readonly Change[] = [
  {
    path: 'deactivate',
    operationId: 'deactivateUser',
    summary: 'Deactivate the account of a user',
    description: 'Ends every session. The user cannot log in.',
    work: (deps, actor, userId, reason) => deactivate(deps, actor, userId, reason!)
  },
  {
    path: 'reactivate',
    operationId: 'reactivateUser',
    summary: 'Reactivate the account of a user',
    body: OptionalReason,
    work: reactivate
  },
  {
    path: 'promote',
    operationId: 'promoteUser',
    summary: 'Make a user a member of staff',
    description: 'The user has a second factor, or a set-up code to give beside the password; else `OTP_NOT_SET_UP`. ' +
      'Already staff: nothing changes.',
    codes: ['OTP_NOT_SET_UP'],
    work: (deps, actor, userId, reason) => promote(deps, actor, userId, reason!)
  },
  {
    path: 'demote',
    operationId: 'demoteUser',
    summary: 'Make a member of staff an ordinary user',
    description: 'From the next request on, in every session. No session ends. Not staff: nothing changes.',
    work: (deps, actor, userId, reason) => demote(deps, actor, userId, reason!)
  },
  {
    path: 'resume-mail',
    operationId: 'resumeUserMail',
    summary: 'Let mails go to the address of a user again',
    description: 'Clears `emailStoppedAt` and `passwordLinksStoppedAt`. Nothing stopped: nothing changes.',
    work: (deps, actor, userId, reason) => resumeMail(deps, actor, userId, reason!)
  }
]

/** Accounts that may log in or not, the role of staff, and mails to an address. */
const standingRoutes: FastifyPluginAsyncTypebox<ChangeRoutesOptions> = async (app, { fresh, ...deps }) => {
  for (const { path, body = Reason, codes = [], work, ...described } of changes) {
    app.post<{ Params: { id: string }, Body: { reason?: string } }>(`/:id/${path}`, {
      onRequest: fresh,
      schema: { tags: ['Staff'], params: Id, body, response: { 204: Done, ...refused([...needsFreshStaff, ...codes]) }, ...described },
      handler: async (request, reply) => {
        await work(deps, actorOf(request), request.params.id, request.body.reason ?? null)
        return await reply.code(204).send(null)
      }
    })
  }
}

export default standingRoutes
