import type { FastifyReply, FastifyRequest } from 'fastify'
import { Refusal } from '../core/refusals.js'
import type { SessionFacts } from '../core/session.js'
import { moveSession } from '../sessions/registration.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from '../sessions/liveness.js'
import type { HostSessions } from './host-sessions.js'
import { requireId } from './ids.js'
import type { CheckedOptions, Completion } from './options.js'

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
 * used up and the asking session over: a fault here costs that, and grants nothing. Whoever ends sessions at the host
 * is told either way: here they have ended.
 *
 * @returns what the client gets
 * @throws {Refusal} SESSION_ENDED
 * @throws {Error} if the host stayed where it was, or went to a session that was seen before
 */
export async function handOver (deps: HandOverDeps, request: FastifyRequest, reply: FastifyReply, decided: Decided): Promise<object> {
  const { askingId, session: { userId, sessionId }, endsOthers } = decided
  /** The session that the host must not end. */
  let living = sessionId === askingId ? askingId : null
  try {
    const completion = await goOn(deps, request, reply, decided)
    living = completion.sessionId
    return completion.answer
  } finally {
    if (endsOthers) deps.host.end(userId, living)
  }
}

async function goOn ({ complete, sameSession = false, db, sessions }: HandOverDeps, request: FastifyRequest, reply: FastifyReply, { askingId, session }: Decided): Promise<Completion> {
  const { userId, sessionId: proposedId } = session
  const completion = await complete(request, reply, { ...session, deviceId: session.otpDeviceId })
  const { sessionId } = completion
  requireId(sessionId, 'complete() must answer "sessionId"')
  if (sessionId === askingId && proposedId !== askingId) {
    throw new Error('countersign: complete() must move to a new session id: a copy of the old one that somebody made before would be verified with it (or say "sameSession: true", and read what that costs)')
  }
  if (sameSession && sessionId !== askingId) throw new Error('countersign: complete() went to another session, although "sameSession" says that it cannot')
  if (sessionId !== proposedId) {
    const moved = await moveSession(db, userId, proposedId, sessionId)
    if (moved.outcome === 'taken') throw new Error('countersign: complete() must answer the id of a session that was not seen before')
    sessions.ended(userId, [proposedId])
    // Somebody ended all of the user's sessions at that moment.
    if (moved.outcome !== 'moved') throw new Refusal('SESSION_ENDED')
    if (moved.wasSeen) sessions.changed(userId, sessionId)
    sessions.started(moved.session)
  }
  return completion
}
