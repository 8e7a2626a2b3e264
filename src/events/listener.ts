import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull, type Counted } from './log.js'
import { rows, type Db, type Watch } from '../tables/db.js'
import { timeAs } from '../tables/values.js'

/** A transaction that wrote an event is over within this time. The event is read right after. */
const RECENT_SECONDS = 60

/** Columns of an event under the names that a notice has. */
export const noticed = sql`
  id, kind, ${timeAs(sql`at`, 'at')}, user_id as "userId", session_id as "sessionId", ip, agent, device_name as "deviceName",
  actor_id as "actorId", detail, count`

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
        const events = await rows<Counted<SecurityEventNotice>>(db, sql`
          select ${noticed} from ${db.table.otp_event}
          where at > now() - make_interval(secs => ${RECENT_SECONDS}) and id = any(${ids}::uuid[]) order by at, id`)
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
