import { Refusal } from '../core/refusals.js'
import type { Asking } from '../core/session.js'
import { endListedSession, endOtherSessions } from './list.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from './liveness.js'
import type { Tally } from '../core/counters.js'
import { sessionEnded } from './session-ended.js'

export interface SessionListDeps {
  db: Db
  sessions: Sessions
  tally: Tally
  /** How long a session may idle. */
  refreshSeconds: number
}

/** Ends one of the user's own sessions. Every replica refuses it within a second. */
export async function endOne (deps: SessionListDeps, asking: Asking, id: string): Promise<void> {
  const { db, sessions, tally, refreshSeconds } = deps
  switch (await endListedSession(db, asking, id, refreshSeconds)) {
    case 'session_ended': throw sessionEnded(deps, asking)
    case 'not_found': throw new Refusal('NOT_FOUND')
    case 'ended':
      sessions.ended(asking.standing.userId, [id])
      tally.count('sessions_ended_total', ['session_ended'])
  }
}

/** Ends all sessions of the user except the requester's. */
export async function endOthers (deps: SessionListDeps, asking: Asking): Promise<void> {
  const { db, sessions, tally } = deps
  const endedIds = await endOtherSessions(db, asking)
  if (endedIds === null) throw sessionEnded(deps, asking)
  sessions.ended(asking.standing.userId, endedIds)
  tally.count('sessions_ended_total', ['session_ended'], endedIds.length)
}
