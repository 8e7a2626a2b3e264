import { randomBytes } from 'node:crypto'
import { receiver } from '../helpers/receiver.js'
import { until } from '../helpers/wait.js'
import type { PostgresServer } from './postgres-server.js'
import type { Undo } from './stage.js'

/** A killed replica keeps its claim on an event for half a minute. Then another replica sends the event. */
const TOLD_MS = 60_000

/** A webhook receiver, and the settings that make a replica send events to it. */
export interface Listening {
  settings: Record<string, string>
  /** Waits until the outbox is empty. @returns a message if the receiver missed events since the start */
  missed (postgres: Pick<PostgresServer, 'query'>): Promise<string[]>
  received (): number
}

export async function startListening (undo: Undo): Promise<Listening> {
  const { url, received } = await receiver({ teardown: undo })
  return {
    settings: { WEBHOOK_URL: url, WEBHOOK_PRIVATE: '127.0.0.1', WEBHOOK_KEYS: `chaos-hook:${randomBytes(32).toString('base64url')}` },
    received: () => received.length,
    async missed ({ query }) {
      await until(
        'the outbox to be empty',
        async () => (await query('select from otp_delivery limit 1')).length === 0,
        TOLD_MS
      )
      const told = new Set(received.map(({ headers }) => headers['webhook-id']))
      // Events from before the first received one have no destination.
      const events = await query(
        `select id::text as id from otp_event
          where at >= (select min(at) from otp_event where id::text in (${Array.from(told, (id) => `'${String(id)}'`).join(', ')}))`
      )
      const missing = events.filter(({ id }) => !told.has(String(id))).length
      return missing === 0 ? [] : [`${missing} of ${events.length} events were never told`]
    }
  }
}
