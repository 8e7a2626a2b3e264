import { Refusal } from '../core/refusals.js'
import type { Requester, AnsweredSession } from '../core/session.js'
import { removeEverything } from './device-statements.js'
import { readStatus } from './enrolment-statements.js'
import { announce, nextSessionId, type OtpDeps } from './deps.js'
import { sessionEndedOrOwes } from './missing-proof.js'

/** Switches the second factor off: removes every device and code and ends every session; a new one replaces the requester's. */
export async function removeTotp (deps: OtpDeps, requester: Requester): Promise<AnsweredSession> {
  const { db, settings } = deps
  const { userId, sessionId } = requester.context
  const committed = await removeEverything(db, requester, nextSessionId(deps, requester), settings)
  if (committed !== null) return announce(deps, requester, committed, 'disabled')
  const { confirmedDevices } = await readStatus(db, userId, sessionId)
  throw confirmedDevices === 0 ? new Refusal('OTP_NOT_SET_UP') : await sessionEndedOrOwes(deps, requester)
}
