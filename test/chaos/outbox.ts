import { randomBytes } from 'node:crypto'
import { receiver } from '../helpers/receiver.js'
import { until } from '../helpers/wait.js'
import type { PostgresServer } from './postgres-server.js'
import type { Undo } from './stage.js'

/** Who was killed with an event in hand has it claimed for half a minute; then another replica sends it. */
const TOLD_MS = 60_000

/** A webhook's receiver, and what a replica is started with to tell it of events. */
export interface Listening {
  settings: Record<string, string>
  /** Waits until nobody has anything to tell any more. @returns what is wrong: events of since then that it was never told of */
  missed (postgres: Pick<PostgresServer, 'query'>): Promise<string[]>
  received (): number
}

export async function startListening (undo: Undo): Promise<Listening> {
  const { url, received } = await receiver({ teardown: undo })
  return {
    settings: { WEBHOOK_URL: url, WEBHOOK_PRIVATE: '127.0.0.1', WEBHOOK_KEYS: `chaos-hook:${randomBytes(32).toString('base64url')}` },
    received: () => received.length,
    async missed ({ query }) {
      await until('the outbox to be empty', async () => (await query('select from otp_event where notify_after is not null limit 1')).length === 0, TOLD_MS)
      const told = new Set(received.map(({ headers }) => headers['webhook-id']))
      // Those of before nobody was to be told of, and nobody tried.
      const events = await query("select id::text as id from otp_event where notify_attempts > 0 or at > (select max(at) from otp_event where kind = 'otp_enabled' and notify_attempts = 0)")
      const missing = events.filter(({ id }) => !told.has(String(id))).length
      return missing === 0 ? [] : [`${missing} of ${events.length} events were never told`]
    }
  }
}
