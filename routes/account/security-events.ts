import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { shownAgent } from '../../src/core/agents.js'
import { eventKinds, type EventKind } from '../../src/events/kinds.js'
import { readEvents } from '../../src/events/log.js'
import type { Db } from '../../src/tables/db.js'
import { needsVerified, refused } from '../refused.js'
import { cursorUnknown, DateTime, NullableString, strict } from '../schemas.js'

/** Entries of a page, if the request names no number. */
export const DEFAULT_LIMIT = 50

/** Kind of an event. The list is open: kinds are added. */
export const Kind = Type.Unsafe<EventKind>({
  title: 'EventKind',
  type: 'string',
  enum: Object.keys(eventKinds),
  description: 'Kind of an event; docs/webhooks.md says what each means. The list is open: show an unknown one by its name.'
})

export const SecurityEvent = Type.Object({
  id: Type.String({ format: 'uuid' }),
  kind: Kind,
  at: DateTime,
  ip: Type.String(),
  agent: Type.String({ description: 'User agent of the browser or program.' }),
  sessionId: NullableString('The session that asked for it; null if there was none.'),
  deviceName: NullableString('The device it was about.'),
  detail: NullableString('Further detail: the session that was ended, or the reason that staff gave.'),
  count: Type.Optional(
    Type.Integer({ description: 'In a line that counts the events of its kind past the sixtieth within an hour: how many it stands for.' })
  )
}, { title: 'SecurityEvent' })

/** Place of a page. One of users contains a name in base64url: up to 150 characters, some of four bytes. */
export const Cursor = Type.Optional(Type.String({
  title: 'Cursor', maxLength: 1024, pattern: '^[A-Za-z0-9_-]+$', description: '`nextCursor` of the page before.'
}))

/** Number of entries of a page. */
export const Limit = Type.Optional(Type.Integer({
  title: 'Limit', minimum: 1, maximum: 100, default: DEFAULT_LIMIT, description: 'Entries of the page.'
}))

/** Query string of every route that returns one page. */
export const PageQuery = Type.Object({
  limit: Limit,
  cursor: Cursor
}, strict)

export const EventPage = Type.Object({
  events: Type.Array(SecurityEvent),
  nextCursor: NullableString('Where the next page begins; null if this was the last.')
}, {
  title: 'EventPage',
  description: 'Security events, the newest first.',
  examples: [{
    events: [{
      id: '8f14e45f-ceea-467f-a0e6-b1f1c6f2f0aa',
      kind: 'otp_refused',
      at: '2026-11-23T09:00:00.000Z',
      ip: '198.51.100.7',
      agent: 'Firefox on Linux',
      sessionId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
      deviceName: null,
      detail: null
    }],
    nextCursor: null
  }]
})

/** Returns one page of a user's log. */
export async function eventPage (
  db: Db, userId: string, { limit = DEFAULT_LIMIT, cursor = null }: { limit?: number, cursor?: string | null }
) {
  const page = await readEvents(db, userId, limit, cursor)
  if (page === null) throw cursorUnknown()
  return { ...page, events: page.events.map((event) => ({ ...event, agent: shownAgent(event.agent) })) }
}

const securityEventRoutes: FastifyPluginAsyncTypebox<{ db: Db }> = async (app, { db }) => {
  app.get('', {
    schema: {
      operationId: 'listSecurityEvents',
      tags: ['Account'],
      summary: 'Your security events',
      description: 'The newest first, kept for `EVENTS_DAYS` at least and a thirteenth of it longer at most. ' +
        'Events that happen during paging move no page.',
      querystring: PageQuery,
      response: { 200: EventPage, ...refused(needsVerified) }
    },
    handler: async ({ countersign, query }) => await eventPage(db, countersign!.userId, query)
  })
}

export default securityEventRoutes
