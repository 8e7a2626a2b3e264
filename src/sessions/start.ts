import type { QueryCreator, Selectable } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Lifetimes, Origin } from '../core/session.js'
import type { Tables } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { later, textOf, typed, type Now } from '../tables/values.js'
import type { Ended } from './ending.js'
import { endedFor, type SessionKey } from './statements.js'

/**
 * Limit of a user's sessions without a second factor: above any real number of browsers, and low enough to end all of them
 * in time. Verified sessions are not counted, because each one needed a code of its own.
 */
const MOST_UNVERIFIED = 100
/** Number of sessions that one log-in ends at most, where a user has more than the limit. */
const MOST_EVICTED = 1_000

/** Row of a user whose password was right. */
export interface LoggedIn {
  user_id: string
  /** True if the session may only set up a device. */
  setup_required: boolean
  /** True if the user has a confirmed device. */
  otp_required: boolean
  otp_deadline: Date | null
}

type Starting = Tables & { now: Now, person: LoggedIn }

/**
 * Inserts an unverified session in the CTE `started`, if `person` has a row, and ends the surplus in `ended`. Beside `now`.
 *
 * Above `MOST_UNVERIFIED`, the new session evicts expired sessions, then the ones that are idle longest. It never evicts a
 * verified session: a requester with only the password must not end a session that needed more.
 */
export function withStarted<With extends { person: LoggedIn, now: Now }> (
  db: QueryCreator<With>, p: SessionKey & Origin & Lifetimes
): QueryCreator<With & Ended & { started: Selectable<Tables['otp_session']> }> {
  return (db as unknown as QueryCreator<Starting>)
    .with('started', (db) => insertFrom(db, 'otp_session', (db) => db.selectFrom(['person', 'now']), (eb) => ({
      user_id: eb.ref('person.user_id'),
      id: textOf(p.sessionId),
      started_at: eb.ref('now.at'),
      expires_at: later(eb.ref('now.at'), eb.case().when('person.otp_required', '=', true).then(typed(p.pendingSeconds, 'integer'))
        .else(typed(p.sessionSeconds, 'integer')).end()),
      auth_at: eb.ref('now.at'),
      rotated_at: eb.ref('now.at'),
      amr: typed([...amr.password], 'text[]'),
      otp_required: eb.ref('person.otp_required'),
      ip: textOf(p.ip),
      agent: textOf(p.agent),
      otp_deadline: eb.case().when('person.setup_required', '=', true).then(eb.ref('now.at'))
        .when('person.otp_required', '=', false).then(eb.ref('person.otp_deadline')).end()
    })).returningAll())
    .with('surplus', (db) => db.selectFrom(['otp_session as s', 'started', 'now']).select('s.id')
      .where('s.user_id', '=', p.userId).where('s.ended_at', 'is', null).where('s.otp_device_id', 'is', null)
      .orderBy((eb) => eb('s.expires_at', '>', eb.ref('now.at')), 'desc').orderBy('s.rotated_at', 'desc')
      .offset((eb) => eb.lit(MOST_UNVERIFIED - 1)).limit((eb) => eb.lit(MOST_EVICTED)))
    .with('ended', (db) => db.updateTable('otp_session as s').from(['surplus', 'now']).set(endedFor('session_evicted'))
      .where('s.user_id', '=', p.userId).whereRef('s.id', '=', 'surplus.id').where('s.ended_at', 'is', null)
      .returning(['s.id', 's.user_id'])) as unknown as QueryCreator<With & Ended & { started: Selectable<Tables['otp_session']> }>
}
