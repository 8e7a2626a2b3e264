import { expressionBuilder, sql } from 'kysely'
import { awaitsDelivery, MAIL, WEBHOOK } from '../events/outbox.js'
import { withDigests } from '../sessions/revocations/ended-ids.js'
import { hasLoggedInSince } from '../sessions/logged-in-since.js'
import { ALL } from '../sessions/marks.js'
import type { Tables } from '../tables/db.js'
import { statement, type Parameters, type Statement } from '../tables/statement.js'
import { clock, timeAs, timeOfSeconds } from '../tables/values.js'

/** Rows deleted at once: few enough that other statements do not wait for them. */
export const BATCH_ROWS = 500

/**
 * Times in Unix seconds before which a row is useless. Values, not expressions over the database's clock: with that the conditions
 * would use no index, and the planner could not estimate that few rows match.
 */
export interface Limits {
  now: number
  sessions: number
  endedSessions: number
  events: number
  counters: number
  budgets: number
  mailBudgets: number
  networks: number
}

const row = expressionBuilder<{ deleted: Pick<Tables['otp_session'], 'user_id' | 'id' | 'end_reason'> }, 'deleted'>()
const isOf = (reason: 'account_deleted' | 'forgotten') => row('deleted.end_reason', '=', reason)

const deleteSessions = statement('clean_sessions', (db, p: Parameters<Limits>, facts) => {
  const batch = db.with('deleted', (db) => db.deleteFrom('otp_session').where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb
    .selectFrom('otp_session').select(['user_id', 'id'])
    .where((eb) => eb(eb.fn.coalesce('ended_at', 'expires_at'), '<', timeOfSeconds(p.sessions)))
    // A host dated the proof of this session in the future. Without the row, the proof would count as new again.
    .where((eb) => eb.not(eb.fn.coalesce(eb.and([
      eb('ended_at', 'is', null), eb('auth_claimed_at', '>', timeOfSeconds(p.now)), eb('expires_at', '>', timeOfSeconds(p.endedSessions))
    ]), eb.lit(false))))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'id')))
    .returning(['user_id', 'id', 'ended_at', 'end_reason']))
  return withDigests(batch, facts, 'deleted')
    .with('challenges', (db) => db.deleteFrom('otp_challenge as c').using('deleted')
      .whereRef('c.user_id', '=', 'deleted.user_id').whereRef('c.session_id', '=', 'deleted.id'))
    // For a deleted account, a late request may have left the row of the lock, and the outbox may have left events delivered since.
    // At a host, the id of a forgotten user may belong to another user by now, also since a moment that this snapshot does not show:
    // the row itself tells, which is read again after a wait for its lock. Its version also tells that a reset must not be undone.
    .with('locks', (db) => db.deleteFrom('otp_user as u').using('deleted').whereRef('u.user_id', '=', 'deleted.user_id')
      .where((eb) => eb.or([
        isOf('account_deleted'),
        eb.and([
          isOf('forgotten'), eb('u.version', '=', eb.lit(0)), eb('u.passkey_handle', 'is', null),
          eb.not(eb.exists(eb.selectFrom('otp_device as d').whereRef('d.user_id', '=', 'u.user_id'))),
          eb.not(eb.exists(eb.selectFrom('otp_session as s').whereRef('s.user_id', '=', 'u.user_id').where('s.ended_at', 'is', null)))
        ])
      ])))
    .with('events', (db) => db.deleteFrom('otp_event as e').using('deleted').whereRef('e.user_id', '=', 'deleted.user_id')
      .where('e.kind', '<>', 'account_deleted').where((eb) => eb.not(awaitsDelivery))
      .where((eb) => eb.or([isOf('account_deleted'), eb.and([isOf('forgotten'), eb('e.session_id', '=', eb.ref('deleted.id'))])])))
    .with('counters', (db) => db.deleteFrom('otp_event_counter as c').using('deleted').whereRef('c.user_id', '=', 'deleted.user_id')
      .where((eb) => eb.or([
        isOf('account_deleted'), eb.and([isOf('forgotten'), eb('c.since', '<', timeOfSeconds(p.counters))])
      ])))
    .selectFrom('deleted').select('deleted.user_id')
})

/** Deletes pending devices with their recovery codes. A replica of an older version confirms a device without clearing its seed. */
const deleteDevices = statement('clean_devices', (db, p: Parameters<Limits>) => db
  .with('deleted', (db) => db.deleteFrom('otp_device').where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb
    .selectFrom('otp_device').select(['user_id', 'id'])
    .where('confirmed_at', 'is', null).where('expires_at', '<', timeOfSeconds(p.now))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'id')))
    .returning(['user_id', 'id']))
  .with('codes', (db) => db.deleteFrom('otp_recovery_code as c').using('deleted')
    .whereRef('c.user_id', '=', 'deleted.user_id').whereRef('c.pending_device_id', '=', 'deleted.id'))
  .with('seeds', (db) => db.updateTable('otp_device').set({ seed: null }).where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb
    .selectFrom('otp_device').select(['user_id', 'id']).where('seed', 'is not', null).where('confirmed_at', 'is not', null)
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'id'))))
  .selectFrom('deleted').select('deleted.user_id'))

/**
 * Deletes deliveries that no worker has claimed for as long as their events are kept: of a destination that was switched off. They
 * would keep the tables of their events.
 */
const deleteDeliveries = statement('clean_deliveries', (db, p: Parameters<Limits>) => db.deleteFrom('otp_delivery')
  .where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb
    .selectFrom('otp_delivery').select(['user_id', 'id'])
    .where('destination', 'in', [WEBHOOK, MAIL]).where('due_at', '<', timeOfSeconds(p.events))
    .where((eb) => eb(eb.fn.coalesce('expires_at', 'due_at'), '<', timeOfSeconds(p.events)))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'id')))
  .returning('user_id'))

/** Deletes events, and each counter together with the events that it numbered. */
const deleteEvents = statement('clean_events', (db, p: Parameters<Limits>) => db
  .with('deleted', (db) => db.deleteFrom('otp_event').where((eb) => eb(eb.refTuple('user_id', 'at', 'id'), 'in', eb
    .selectFrom('otp_event').select(['user_id', 'at', 'id']).where('at', '<', timeOfSeconds(p.events))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'at', 'id')))
    .returning(['user_id', 'kind']))
  .with('counters', (db) => db.deleteFrom('otp_event_counter as c').using('deleted')
    .whereRef('c.user_id', '=', 'deleted.user_id').whereRef('c.kind', '=', 'deleted.kind').where('c.since', '<', timeOfSeconds(p.counters)))
  .selectFrom('deleted').select('deleted.user_id'))

const deleteBudgets = statement('clean_budgets', (db, p: Parameters<Limits>) => db.deleteFrom('password_budget')
  .where((eb) => eb(eb.refTuple('name_digest', 'network'), 'in', eb
    .selectFrom('password_budget').select(['name_digest', 'network']).where('window_started_at', '<', timeOfSeconds(p.budgets))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('name_digest', 'network')))
  .returning('network'))

const deleteHostBudgets = statement('clean_host_budgets', (db, p: Parameters<Limits>) => db.deleteFrom('otp_password_budget')
  .where((eb) => eb(eb.refTuple('user_id', 'network'), 'in', eb
    .selectFrom('otp_password_budget').select(['user_id', 'network']).where('window_started_at', '<', timeOfSeconds(p.budgets))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'network')))
  .returning('network'))

const deleteLinks = statement('clean_links', (db, p: Parameters<Limits>) => db.deleteFrom('account_link')
  .where((eb) => eb(eb.refTuple('user_id', 'purpose', 'slot'), 'in', eb
    .selectFrom('account_link').select(['user_id', 'purpose', 'slot']).where('expires_at', '<', timeOfSeconds(p.now))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'purpose', 'slot')))
  .returning('purpose'))

const deleteMailBudgets = statement('clean_mail_budgets', (db, p: Parameters<Limits>) => db.deleteFrom('account_mail_budget')
  .where('name_digest', 'in', (eb) => eb
    .selectFrom('account_mail_budget').select('name_digest').where('window_started_at', '<', timeOfSeconds(p.mailBudgets))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked())
  .returning('name_digest'))

const deleteNetworks = statement('clean_networks', (db, p: Parameters<Limits>) => db.deleteFrom('account_network')
  .where((eb) => eb(eb.refTuple('user_id', 'network'), 'in', eb
    .selectFrom('account_network').select(['user_id', 'network']).where('last_login_at', '<', timeOfSeconds(p.networks))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'network')))
  .returning('network'))

const deleteEnded = statement('clean_ended', (db, p: Parameters<Limits>) => db.deleteFrom('otp_ended_session')
  .where((eb) => eb(eb.refTuple('user_id', 'digest'), 'in', eb
    .selectFrom('otp_ended_session').select(['user_id', 'digest']).where('ended_at', '<', timeOfSeconds(p.endedSessions))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'digest')))
  .returning('user_id'))

/**
 * At a host: no session lives for so long, and no host presents an older proof. In the service, the sessions of a marked user are ended
 * one by one too, and the one mark of all users stays.
 */
const deleteMarks = statement('clean_marks', (db, p: Parameters<Limits>, { hasAccounts }) => db.deleteFrom('otp_revocation')
  .where('user_id', 'in', (eb) => eb
    .selectFrom('otp_revocation').select('user_id').where('ended_before', '<', timeOfSeconds(hasAccounts ? p.sessions : p.endedSessions))
    .$if(hasAccounts, (marks) => marks.where('user_id', '!=', sql.lit(ALL)))
    .limit((eb) => eb.lit(BATCH_ROWS)).forUpdate().skipLocked())
  .returning('user_id'))

type Batch = Statement<Limits, unknown>
const everywhere = {
  sessions: deleteSessions, devices: deleteDevices, deliveries: deleteDeliveries, events: deleteEvents, marks: deleteMarks
}

/** The statements by the kind of rows that they delete. Each returns a row for each deleted one; an index serves each condition. */
export const batches: { service: Readonly<Record<string, Batch>>, host: Readonly<Record<string, Batch>> } = {
  service: { ...everywhere, budgets: deleteBudgets, links: deleteLinks, mailBudgets: deleteMailBudgets, networks: deleteNetworks },
  host: { ...everywhere, ended: deleteEnded, budgets: deleteHostBudgets }
}

export const lockCleanup = statement('lock_cleanup', (db) => db.selectNoFrom((eb) => [
  eb.fn<boolean>('pg_try_advisory_xact_lock', [eb.fn('hashtext', [eb.val('countersign sweep')])]).as('isMine'),
  timeAs(clock, 'now')
]))

/** Notes the log-ins since links for a new password were stopped, before their sessions are deleted. */
export const resumePasswordLinks = statement('resume_password_links', (db) => db.updateTable('account as a')
  .set({ password_links_stopped_at: null }).where('a.password_links_stopped_at', 'is not', null).where(hasLoggedInSince))
