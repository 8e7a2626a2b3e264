import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { Refusal } from '../../src/core/refusals.js'
import { soughtName } from '../../src/core/normal-forms.js'
import { longest } from '../../src/core/texts.js'
import { listDevices } from '../../src/factors/device-statements.js'
import { isStaff } from '../../src/staff/statements.js'
import { findUsers, hasUser, readUser } from '../../src/staff/users.js'
import type { StaffDeps } from '../../src/staff/changes.js'
import { eventPage, PageQuery } from '../account/security-events.js'
import { bearer, Id, Name, refused } from '../schemas.js'
import { Device } from '../totp/devices.js'
import changeRoutes from './changes.js'
import { EventPageWithActor, needsStaff, ShownUser, UserPage, UsersCursor } from './schemas.js'
import sessionRoutes from './sessions.js'

export interface AdminRoutesOptions extends StaffDeps {
  /** Highest age of a proof for a change, in seconds. */
  freshSeconds: number
  /** Time for which a session may be idle, in seconds. */
  refreshSeconds: number
}

const DEFAULT_LIMIT = 50
const tags = ['Staff']

/**
 * Accounts of other users, for staff. Staff need a second factor under any policy. The staff role is read from PostgreSQL
 * on each request. No answer has a secret, a token, or a code other than a set-up code.
 */
const adminRoutes: FastifyPluginAsyncTypebox<AdminRoutesOptions> = async (app, deps) => {
  const { db } = deps
  // On each route instead of the scope, so that the limits count first.
  const staff: onRequestHookHandler[] = [app.otpVerified({ required: true }), (request, _reply, done) => {
    isStaff(db, request.countersign!.userId).then((is) => { done(is ? undefined : new Refusal('STAFF_REQUIRED')) }, done)
  }]
  const fresh = [...staff, app.otpVerified({ required: true, maxAge: deps.freshSeconds })]

  app.get('/users', {
    onRequest: staff,
    schema: {
      operationId: 'findUsers',
      tags,
      security: bearer,
      summary: 'Find users',
      description: 'By the start of the username, or by the whole e-mail address, in any case, in the order of the names.',
      querystring: Type.Object({
        query: Type.Optional(Name(longest.email, {
          description: 'Start of the username, or the e-mail address; no patterns. Absent: all users.'
        })),
        limit: PageQuery.properties.limit,
        cursor: UsersCursor
      }, { additionalProperties: false }),
      response: { 200: UserPage, ...refused(needsStaff) }
    },
    handler: async ({ query: { query = '', limit, cursor } }) => {
      if (query.trim() !== '' && soughtName(query, longest.email) === null) {
        throw new Refusal('REQUEST_INVALID', { hint: `query is one line of at most ${longest.email} characters.` })
      }
      const page = await findUsers(db, query, limit === undefined ? DEFAULT_LIMIT : Number(limit), cursor ?? null)
      if (page === null) throw new Refusal('REQUEST_INVALID', { hint: 'cursor is the nextCursor of a page before.' })
      return page
    }
  })

  app.get('/users/:id', {
    onRequest: staff,
    schema: {
      operationId: 'readUser',
      tags,
      security: bearer,
      summary: 'Account of a user',
      params: Id,
      response: { 200: ShownUser, ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params }) => {
      const user = await readUser(db, params.id)
      if (user === undefined) throw new Refusal('NOT_FOUND')
      return user
    }
  })

  app.get('/users/:id/devices', {
    onRequest: staff,
    schema: {
      operationId: 'listUserDevices',
      tags,
      security: bearer,
      summary: 'Devices of a user',
      params: Id,
      response: { 200: Type.Array(Device, { examples: [Device.examples] }), ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params }) => {
      await requireUser(params.id)
      return await listDevices(db, params.id)
    }
  })

  app.get('/users/:id/events', {
    onRequest: staff,
    schema: {
      operationId: 'listUserEvents',
      tags,
      security: bearer,
      summary: 'Security events of a user',
      description: 'The newest first, kept for `EVENTS_DAYS`, as the owner sees them, with the actor if that was not the owner.',
      params: Id,
      querystring: PageQuery,
      response: { 200: EventPageWithActor, ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params, query }) => {
      await requireUser(params.id)
      return await eventPage(db, params.id, query)
    }
  })

  await app.register(sessionRoutes, { ...deps, prefix: '/users/:id/sessions', staff, fresh })
  await app.register(changeRoutes, { ...deps, prefix: '/users', fresh })

  async function requireUser (id: string): Promise<void> {
    if (!await hasUser(db, id)) throw new Refusal('NOT_FOUND')
  }
}

export default adminRoutes
