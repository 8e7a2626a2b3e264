import { Refusal } from '../core/refusals.js'
import type { Requester, AnsweredSession } from '../core/session.js'
import { removeDevice as remove, renameDevice as rename, type Device } from './device-statements.js'
import { announce, carried, nextSessionId, type OtpDeps } from './deps.js'
import { sessionEnded } from '../sessions/session-ended.js'
import { sessionEndedOrOwes } from './missing-proof.js'

export async function renameDevice (deps: OtpDeps, requester: Requester, id: string, name: string): Promise<Device> {
  const renamed = await rename(deps.db, requester, id, name)
  switch (renamed.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'not_found': throw new Refusal('NOT_FOUND')
    case 'renamed': return renamed.device
  }
}

/**
 * Removes one device; the last device is removed together with the recovery codes. Every session ends. Returns the session
 * that replaces the requester's, or the requester's own if its host cannot move it.
 */
export async function removeDevice (deps: OtpDeps, requester: Requester, id: string): Promise<AnsweredSession> {
  const removed = await remove(deps.db, requester, id, nextSessionId(deps, requester), deps.settings)
  switch (removed.outcome) {
    case 'session_ended': throw await sessionEndedOrOwes(deps, requester)
    case 'not_found': throw new Refusal('NOT_FOUND')
    default: return carried(announce(deps, requester, removed.session, removed.outcome), requester)
  }
}
