import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionFacts } from '../core/session.js'
import { moveSession } from '../db/adoption.js'
import type { Db } from '../db/tables.js'
import type { Sessions } from '../sessions/sessions.js'
import type { HostSessions } from './end-sessions.js'
import type { CheckedOptions } from './options.js'

export interface HandOverDeps extends Pick<CheckedOptions, 'complete' | 'sameSession'> {
  db: Db
  sessions: Sessions
  host: HostSessions
}

/** What was decided, for the host to go on with. */
export interface Decided {
  /** The session that asked. */
  askingId: string
  session: SessionFacts
  /** Whether the user's other sessions have ended. */
  endsOthers: boolean
}

/**
 * Lets the host go on with what was proven, and follows its session to the id that it has there. By then the code is
 * used up and the asking session over: a fault here costs that, and grants nothing.
 *
 * @returns what the client gets
 * @throws {Error} if the host stayed where it was, or went to a session that was seen before
 */
export async function handOver ({ complete, sameSession = false, db, sessions, host }: HandOverDeps, request: FastifyRequest, reply: FastifyReply, { askingId, session, endsOthers }: Decided): Promise<object> {
  const { userId, sessionId: proposedId } = session
  const { sessionId, answer } = await complete(request, reply, { ...session, deviceId: session.otpDeviceId })
  if (sessionId === askingId && proposedId !== askingId) {
    throw new Error('countersign: complete() must move to a new session id: a copy of the old one that somebody made before would be verified with it (or say "sameSession: true", and read what that costs)')
  }
  if (sameSession && sessionId !== askingId) throw new Error('countersign: complete() went to another session, although "sameSession" says that it cannot')
  if (sessionId !== proposedId) {
    const moved = await moveSession(db, userId, proposedId, sessionId)
    if (moved === null) throw new Error('countersign: complete() must answer the id of a session that was not seen before')
    sessions.ended(userId, [proposedId])
    sessions.started(moved)
  }
  if (endsOthers) host.end(userId, sessionId)
  return answer
}
