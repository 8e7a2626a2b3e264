import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { shownAgent } from '../../src/core/agents.js'
import { eventKinds, type EventKind } from '../../src/events/kinds.js'
import { Refusal } from '../../src/core/refusals.js'
import { readEvents } from '../../src/events/log.js'
import type { Db } from '../../src/tables/db.js'
import { bearer, DateTime, needsVerified, refused, strict } from '../schemas.js'

const DEFAULT_LIMIT = 50

const NullableString = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

export const SecurityEvent = Type.Object({
  id: Type.String({ format: 'uuid' }),
  kind: Type.Unsafe<EventKind>({
    type: 'string',
    enum: Object.keys(eventKinds),
    description: Object.entries(eventKinds).map(([kind, meaning]) => `\`${kind}\`: ${meaning}.`).join(' ')
  }),
  at: DateTime,
  ip: Type.String(),
  agent: Type.String({ description: 'User agent of the browser or program.' }),
  sessionId: NullableString('The session that asked for it; null if there was none.'),
  deviceName: NullableString('The device it was about.'),
  detail: NullableString('Further detail: the session that was ended, or the reason that staff gave.'),
  count: Type.Optional(
    Type.Integer({ description: 'In a line that counts the events of its kind past the sixtieth within an hour: how many it stands for.' })
  )
})

/** Query string of every route that returns one page. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|100)$', description: `How many, at most 100; ${DEFAULT_LIMIT} by default.` })),
  cursor: Type.Optional(Type.String({ maxLength: 128, pattern: '^[A-Za-z0-9_-]+$', description: '`nextCursor` of the page before.' }))
}, strict)

export const EventPage = Type.Object({
  events: Type.Array(SecurityEvent),
  nextCursor: NullableString('Where the next page begins; null if this was the last.')
}, {
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
export async function eventPage (db: Db, userId: string, { limit, cursor }: { limit?: string, cursor?: string }) {
  const page = await readEvents(db, userId, limit === undefined ? DEFAULT_LIMIT : Number(limit), cursor ?? null)
  if (page === null) throw new Refusal('REQUEST_INVALID', { hint: 'cursor is the nextCursor of a page before.' })
  return { ...page, events: page.events.map((event) => ({ ...event, agent: shownAgent(event.agent) })) }
}

const securityEventRoutes: FastifyPluginAsyncTypebox<{ db: Db }> = async (app, { db }) => {
  app.get('', {
    schema: {
      operationId: 'listSecurityEvents',
      tags: ['Account'],
      security: bearer,
      summary: 'Your security events',
      description: 'The newest first, kept for `EVENTS_DAYS`. Events that happen during paging move no page.',
      querystring: PageQuery,
      response: { 200: EventPage, ...refused(needsVerified) }
    },
    handler: async ({ countersign, query }) => await eventPage(db, countersign!.userId, query)
  })
}

export default securityEventRoutes
