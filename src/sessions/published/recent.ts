import { requireWritable } from '../../tables/primary.js'
import type { Db } from '../../tables/db.js'
import { PAGE_SESSIONS, selectRecent, type PagePlace } from './recent.sql.js'

/** A page of sessions that ended lately. */
export interface Recent {
  /** Server that answered; see `ServerFacts`. */
  server: string
  place: string
  sessionIds: string[]
}

/**
 * Reads the sessions that ended within some seconds, page by page.
 *
 * @throws {Refusal} UNAVAILABLE if a server without writes answers
 */
export async function * readRecentEnds (db: Db, withinSeconds: number): AsyncGenerator<Recent> {
  let last: PagePlace = { at: 0, userId: '', sessionId: '' }
  for (;;) {
    const { server, isWritable, place, ended: found } = (await selectRecent.first(db, { withinSeconds, ...last }))!
    requireWritable(db, isWritable)
    const ended = found ?? []
    yield { server, place, sessionIds: ended.map(({ sessionId }) => sessionId) }
    if (ended.length < PAGE_SESSIONS) return
    last = ended.at(-1)!
  }
}
