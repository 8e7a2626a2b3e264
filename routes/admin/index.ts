import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { onRequestHookHandler } from 'fastify'
import { Refusal } from '../../src/core/refusals.js'
import { isStaff } from '../../src/staff/statements.js'
import type { StaffDeps } from '../../src/staff/changes.js'
import changeRoutes from './changes.js'
import sessionRoutes from './sessions.js'
import standingRoutes from './standing.js'
import userRoutes from './users.js'

export interface AdminRoutesOptions extends StaffDeps {
  /** True if staff need a passkey. */
  needsPasskey: boolean
  /** Highest age of a proof for a change, in seconds. */
  freshSeconds: number
  /** Time for which a session may be idle, in seconds. */
  refreshSeconds: number
}

/**
 * Accounts of other users, for staff. Staff need a second factor under any policy. The staff role is read from PostgreSQL
 * on each request. No answer has a secret, a token, or a code other than a set-up code.
 */
const adminRoutes: FastifyPluginAsyncTypebox<AdminRoutesOptions> = async (app, deps) => {
  const { needsPasskey: phishingResistant } = deps
  // On each route instead of the scope, so that the limits count first.
  const staff: onRequestHookHandler[] = [app.otpVerified({ required: true, phishingResistant }), (request, _reply, done) => {
    isStaff(deps.db, request.countersign!.userId).then((is) => { done(is ? undefined : new Refusal('STAFF_REQUIRED')) }, done)
  }]
  const fresh = [...staff, app.otpVerified({ required: true, phishingResistant, maxAge: deps.freshSeconds })]
  await app.register(userRoutes, { db: deps.db, prefix: '/users', staff })
  await app.register(sessionRoutes, { ...deps, prefix: '/users/:id/sessions', staff, fresh })
  await app.register(changeRoutes, { ...deps, prefix: '/users', fresh })
  await app.register(standingRoutes, { ...deps, prefix: '/users', fresh })
}

export default adminRoutes
