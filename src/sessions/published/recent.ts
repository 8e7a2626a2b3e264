import { requireWritable } from '../../tables/primary.js'
import type { Db } from '../../tables/db.js'
import type { MarkedUser } from '../revocations/revocations.js'
import { PAGE_SESSIONS, selectRecent, selectRecentMarks, type PagePlace } from './recent.sql.js'

/** A page of sessions that ended lately, and of users that were marked. */
export interface Recent {
  /** Server that answered; see `ServerFacts`. */
  server: string
  place: string
  sessionIds: string[]
  marked: MarkedUser[]
}

/**
 * Reads the sessions that ended within some seconds, page by page, then the marks.
 *
 * @throws {Refusal} UNAVAILABLE if a server without writes answers
 */
export async function * readRecentEnds (db: Db, withinSeconds: number): AsyncGenerator<Recent> {
  let last: PagePlace = { at: 0, userId: '', sessionId: '' }
  let place: string
  for (;;) {
    const { isWritable, ended: found, ...facts } = (await selectRecent.first(db, { withinSeconds, ...last }))!
    requireWritable(db, isWritable)
    const ended = found ?? []
    place = facts.place
    yield { ...facts, sessionIds: ended.map(({ sessionId }) => sessionId), marked: [] }
    if (ended.length < PAGE_SESSIONS) break
    last = ended.at(-1)!
  }
  let lastMark: MarkedUser = { endedBefore: 0, userId: '' }
  for (;;) {
    const { server, isWritable, marked: found } = (await selectRecentMarks.first(db, { withinSeconds, ...lastMark }))!
    requireWritable(db, isWritable)
    const marked = found ?? []
    yield { server, place, sessionIds: [], marked }
    if (marked.length < PAGE_SESSIONS) return
    lastMark = marked.at(-1)!
  }
}
