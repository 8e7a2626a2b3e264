import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { onRequestHookHandler } from 'fastify'
import { Refusal } from '../../src/core/refusals.js'
import { soughtName } from '../../src/core/normal-forms.js'
import { longest } from '../../src/core/texts.js'
import { listDevices } from '../../src/factors/device-statements.js'
import { findUsers, hasUser, readUser } from '../../src/staff/users.js'
import type { Db } from '../../src/tables/db.js'
import { Cursor, DEFAULT_LIMIT, eventPage, Limit, PageQuery } from '../account/security-events.js'
import { refused } from '../refused.js'
import { cursorUnknown, Id, Name, strict } from '../schemas.js'
import { DeviceList } from '../totp/schemas.js'
import { EventPageWithActor, needsStaff, ShownUser, UserPage } from './schemas.js'

export interface UserReadOptions {
  db: Db
  /** Hooks that accept staff. */
  staff: onRequestHookHandler[]
}

const tags = ['Staff']

const UsersQuery = Type.Object({
  query: Type.Optional(Name(longest.email, {
    description: 'Start of the username, or the e-mail address; no patterns. Absent: all users.'
  })),
  limit: Limit,
  cursor: Cursor
}, strict)

/** Finds users, and shows their accounts. */
const userRoutes: FastifyPluginAsyncTypebox<UserReadOptions> = async (app, { db, staff }) => {
  app.get('', {
    onRequest: staff,
    schema: {
      operationId: 'findUsers',
      tags,
      summary: 'Find users',
      description: 'By the start of the username, or by the whole e-mail address, in any case, in the order of the names.',
      querystring: UsersQuery,
      response: { 200: UserPage, ...refused(needsStaff) }
    },
    handler: async ({ query: { query = '', limit = DEFAULT_LIMIT, cursor = null } }) => {
      if (query.trim() !== '' && soughtName(query, longest.email) === null) {
        throw new Refusal('REQUEST_INVALID', {
          field: 'query', hint: { key: 'searchLine', values: { subject: 'query', limit: longest.email } }
        })
      }
      const page = await findUsers(db, query, limit, cursor)
      if (page === null) throw cursorUnknown()
      return page
    }
  })

  app.get('/:id', {
    onRequest: staff,
    schema: {
      operationId: 'getUser',
      tags,
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

  app.get('/:id/devices', {
    onRequest: staff,
    schema: {
      operationId: 'listUserDevices',
      tags,
      summary: 'Devices of a user',
      params: Id,
      response: { 200: DeviceList, ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params }) => {
      await requireUser(params.id)
      return await listDevices(db, params.id)
    }
  })

  app.get('/:id/events', {
    onRequest: staff,
    schema: {
      operationId: 'listUserEvents',
      tags,
      summary: 'Security events of a user',
      description: 'The newest first, kept for `EVENTS_DAYS` at least and a thirteenth of it longer at most, ' +
        'as the owner sees them, with the actor if that was not the owner.',
      params: Id,
      querystring: PageQuery,
      response: { 200: EventPageWithActor, ...refused([...needsStaff, 'NOT_FOUND']) }
    },
    handler: async ({ params, query }) => {
      await requireUser(params.id)
      return await eventPage(db, params.id, query)
    }
  })

  async function requireUser (id: string): Promise<void> {
    if (!await hasUser(db, id)) throw new Refusal('NOT_FOUND')
  }
}

export default userRoutes
