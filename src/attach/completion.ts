import type { FastifyReply, FastifyRequest } from 'fastify'
import { Refusal } from '../core/refusals.js'
import type { AnsweredSession } from '../core/session.js'
import { moveSession } from '../sessions/registration.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from '../sessions/liveness.js'
import type { HostSessions } from './host-sessions.js'
import { requireId } from './ids.js'
import type { Completion } from './options/host-types.js'
import type { RouteOptions } from './options/route-options.js'

export interface CompletionDeps extends Pick<RouteOptions, 'complete' | 'sameSession'> {
  db: Db
  sessions: Sessions
  host: HostSessions
}

/** A committed decision, which the host completes. */
export interface Decided {
  /** Session of the request. */
  askingId: string
  session: AnsweredSession
  /** True if the decision ended the user's other sessions. */
  endsOthers: boolean
}

/**
 * Completes a committed decision at the host, and moves the session to the id that the host chose. The code is consumed and
 * the requesting session is ended before this call, so a fault here costs the code and grants nothing. If the decision ended
 * other sessions, `endSessions` is called even after a fault.
 *
 * @returns the answer for the client
 * @throws {Refusal} SESSION_ENDED
 * @throws {Error} if the host answered no session id or no object for the client, kept the old session id, or chose the id of a
 * session that was seen before
 */
export async function complete (deps: CompletionDeps, request: FastifyRequest, reply: FastifyReply, decided: Decided): Promise<object> {
  const { askingId, session: { userId, sessionId }, endsOthers } = decided
  /** Session that the host must keep. */
  let living = sessionId === askingId ? askingId : null
  try {
    const completion = await goOn(deps, request, reply, decided)
    living = completion.sessionId
    return completion.answer
  } finally {
    if (endsOthers) deps.host.end(userId, living)
  }
}

async function goOn (
  { complete, sameSession = false, db, sessions }: CompletionDeps, request: FastifyRequest, reply: FastifyReply,
  { askingId, session }: Decided
): Promise<Completion> {
  const { userId, sessionId: proposedId } = session
  const completion = checked(await complete(request, reply, { ...session, deviceId: session.otpDeviceId }))
  const { sessionId } = completion
  if (sessionId === askingId && proposedId !== askingId) {
    throw new Error('countersign: complete() must move to a new session id: a copy of the old one that somebody made ' +
      'before would be verified with it (or say "sameSession: true", and read what that costs)')
  }
  if (sameSession && sessionId !== askingId) {
    throw new Error('countersign: complete() went to another session, although "sameSession" says that it cannot')
  }
  if (sessionId !== proposedId) {
    const moved = await moveSession(db, userId, proposedId, sessionId)
    if (moved.outcome === 'taken') throw new Error('countersign: complete() must answer the id of a session that was not seen before')
    sessions.ended(userId, [proposedId])
    // A concurrent request ended all sessions of the user.
    if (moved.outcome !== 'moved') throw new Refusal('SESSION_ENDED')
    if (moved.wasSeen) sessions.changed(userId, sessionId)
    sessions.started(moved.session)
  }
  return completion
}

/** A host in JavaScript may answer anything, such as nothing after a forgotten `return`. */
function checked (completion: unknown): Completion {
  if (typeof completion !== 'object' || completion === null) {
    throw new Error('countersign: complete() must answer { sessionId, answer }, but it answered nothing')
  }
  const { sessionId, answer } = completion as Partial<Completion>
  requireId(sessionId, 'complete() must answer "sessionId"')
  if (typeof answer !== 'object' || answer === null) {
    throw new Error('countersign: complete() must answer "answer", an object for the client')
  }
  return { sessionId, answer }
}
