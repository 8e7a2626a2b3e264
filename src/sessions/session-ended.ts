import type { SessionContext } from '../core/assurance.js'
import { SessionEnded, type Refusal } from '../core/refusals.js'
import type { Sessions } from './liveness.js'

interface Ended { context: Pick<SessionContext, 'userId' | 'sessionId'> }

/**
 * Returns the refusal for a request whose session has ended in PostgreSQL. Throw it wherever a flow finds that out: from
 * then on the guard of this process refuses the session too, or asks PostgreSQL about a host's one, which may have expired.
 */
export function sessionEnded (
  { sessions }: { sessions: Pick<Sessions, 'over'> },
  { context: { userId, sessionId } }: Ended
): Refusal {
  sessions.over(userId, sessionId)
  return new SessionEnded({ userId, sessionId })
}
