import { Refusal } from '../core/refusals.js'
import type { Requester } from '../core/session.js'
import { endListedSession, endOtherSessions } from './list.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from './liveness.js'
import type { Counters } from '../core/counters.js'
import { sessionEnded } from './session-ended.js'

export interface SessionListDeps {
  db: Db
  sessions: Sessions
  counters: Counters
  /** How long a session may idle. */
  refreshSeconds: number
}

/** Ends one of the user's own sessions. Every replica refuses it within a second. */
export async function endOne (deps: SessionListDeps, requester: Requester, id: string): Promise<void> {
  const { db, sessions, counters, refreshSeconds } = deps
  switch (await endListedSession(db, requester, id, refreshSeconds)) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'not_found': throw new Refusal('NOT_FOUND')
    case 'ended':
      sessions.ended(requester.context.userId, [id])
      counters.count('sessions_ended_total', ['session_ended'])
  }
}

/** Ends all sessions of the user except the requester's. */
export async function endOthers (deps: SessionListDeps, requester: Requester): Promise<void> {
  const { db, sessions, counters } = deps
  const endedIds = await endOtherSessions(db, requester)
  if (endedIds === null) throw sessionEnded(deps, requester)
  sessions.ended(requester.context.userId, endedIds)
  counters.count('sessions_ended_total', ['session_ended'], endedIds.length)
}
