import { randomUUID } from 'node:crypto'
import { expressionBuilder } from 'kysely'
import type { EventKind } from './kinds.js'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull } from './log.js'
import type { Db, Tables, Watch } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, earlier, timeAs, typed } from '../tables/values.js'

/** A transaction that wrote an event is over within this time. The event is read right after. */
const RECENT_SECONDS = 60

const event = expressionBuilder<Tables & { e: Tables['otp_event'] }, 'e'>()

/** Columns of an event `e` under the names that a notice has. */
export const noticed = [
  'e.id', event.ref('e.kind').$castTo<EventKind>().as('kind'), timeAs(event.ref('e.at'), 'at'), 'e.user_id as userId',
  'e.session_id as sessionId', 'e.ip', 'e.agent', 'e.device_name as deviceName', 'e.actor_id as actorId', 'e.detail', 'e.count'
] as const

const selectWritten = statement('written_events', (db, p: Parameters<{ ids: string[] }>) => db.selectFrom('otp_event_current as e')
  .select(noticed)
  .where('e.at', '>', earlier(clock, RECENT_SECONDS)).where('e.id', '=', (eb) => eb.fn.any(typed(p.ids, 'uuid[]')))
  .orderBy('e.at').orderBy('e.id'))

/**
 * Returns the same `Db`, and calls `tell` with the events of its statements after the commit: only events that this process
 * decided, and none that was rolled back. A statement writes its event on a condition. So it gets the event's id in advance,
 * and a later read shows which ids exist. No request waits for that read. If it fails, the error is reported and the events
 * are lost here: only the outbox delivers each event.
 */
export function watched (db: Db, tell: (event: SecurityEventNotice) => void, report: (error: unknown) => void): Db {
  const expected = new Set<string>()
  let over: string[] = []
  let reading = false

  async function read (): Promise<void> {
    if (reading) return
    reading = true
    while (over.length > 0) {
      const ids = over
      over = []
      try {
        const events = await selectWritten.all(db, { ids })
        for (const event of events) tell(withoutNull(event))
      } catch (error) {
        report(error)
      }
    }
    reading = false
  }

  const watch: Watch = {
    newId () {
      const id = randomUUID()
      expected.add(id)
      return id
    },
    ran (parameters, succeeded) {
      const ids = parameters.filter((parameter): parameter is string => typeof parameter === 'string' && expected.delete(parameter))
      if (!succeeded || ids.length === 0) return
      over.push(...ids)
      void read()
    }
  }
  return { ...db, watch }
}
