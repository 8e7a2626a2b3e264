import type { PostgresServer } from './postgres-server.js'

/** Events of the factor changes that raise `otp_user.version`, each by one. */
const RAISING = `('otp_enabled', 'otp_device_added', 'otp_device_removed', 'otp_disabled', 'otp_reset', 'recovery_regenerated',
  'password_changed', 'email_changed', 'deactivated', 'reactivated')`
/** A late request can leave the `otp_user` row of a deleted account, which is its lock. That row is ignored. */
const STANDINGS = '(select o.* from otp_user o join account a on a.id::text = o.user_id)'
const HAS_ACCOUNT = 'exists (select from account a where a.id::text = %.user_id)'
const CONFIRMED = 'exists (select from otp_device d where d.user_id = %.user_id and d.confirmed_at is not null)'
const events = (user: string, kinds: string) =>
  `(select coalesce(sum(coalesce(e.count, 1)), 0) from otp_event e where e.user_id = ${user}.user_id and e.kind in ${kinds})`
const sessions = (user: string, which: string) => `(select count(*) from otp_session s where s.user_id = ${user}.user_id and ${which})`
const hasAccount = (of: string) => HAS_ACCOUNT.replace('%', of)
const confirmed = (of: string) => CONFIRMED.replace('%', of)
/** Events that start a session with the password alone. The removal of the device that verified a session can start one too. */
const STARTING = "('logged_in', 'setup_code_used', 'otp_disabled')"
const LIVE = 's.ended_at is null and s.expires_at > clock_timestamp()'

/**
 * Statements about the tables that are true at every moment, whichever process was killed: a sentence, and a query for the
 * users that violate it. They assume that cleanup did not run, and that only the service's routes changed the tables.
 */
const invariants: ReadonlyArray<readonly [sentence: string, violators: string]> = [
  ['one verified session at most for each accepted code', `select user_id from ${STANDINGS} u
     where ${sessions('u', "s.otp_device_id is not null and s.otp_device_id <> 'recovery'")} >
       ${events('u', "('otp_enabled', 'otp_device_added', 'otp_verified')")}`],
  // A change of the password replaces the session, and the new one keeps its proof.
  ['one session for each used recovery code', `select user_id from ${STANDINGS} u
     where ${sessions('u', "s.otp_device_id = 'recovery'")} not between
       ${events('u', "('recovery_used')")} - ${events('u', "('otp_device_added')")}
       and ${events('u', "('recovery_used', 'password_changed')")}`],
  ['no recovery code used without an event', `select user_id from ${STANDINGS} u
     where (select count(*) from otp_recovery_code c where c.user_id = u.user_id and c.used_at is not null) >
       ${events('u', "('recovery_used')")}`],
  ['one session for each right password', `select user_id from ${STANDINGS} u
     where ${sessions('u', "s.amr = '{pwd}'")}
       not between ${events('u', STARTING)} and ${events('u', STARTING)} + ${events('u', "('otp_device_removed')")}`],
  ['no confirmed device without an event', `select user_id from ${STANDINGS} u
     where (select count(*) from otp_device d where d.user_id = u.user_id and d.confirmed_at is not null) >
       (select count(*) from otp_event e where e.user_id = u.user_id and e.kind in ('otp_enabled', 'otp_device_added')
          and e.at > coalesce((select max(at) from otp_event o
            where o.user_id = u.user_id and o.kind in ('otp_disabled', 'otp_reset')), '-infinity'))`],
  ['no confirmed device without recovery codes: half-enabled', `select user_id from ${STANDINGS} u
     where ${confirmed('u')} and not exists (select from otp_recovery_code c where c.user_id = u.user_id and c.pending_device_id is null)`],
  ['no living recovery code without a confirmed device', `select user_id from otp_recovery_code c
     where c.pending_device_id is null and not ${confirmed('c')}`],
  ['no recovery code of a pending device that is gone', `select user_id from otp_recovery_code c
     where c.pending_device_id is not null
       and not exists (select from otp_device d where d.user_id = c.user_id and d.id = c.pending_device_id and d.confirmed_at is null)`],
  ['no first pending device without recovery codes', `select user_id from otp_device d
     where d.confirmed_at is null and not ${confirmed('d')}
       and not exists (select from otp_recovery_code c where c.user_id = d.user_id and c.pending_device_id = d.id)`],
  ['no live session that needs no second factor, of a user who has one', `select user_id from otp_session s
     where ${LIVE} and not s.otp_required and ${confirmed('s')}`],
  ['no live session that was verified by a device that is gone', `select user_id from otp_session s
     where ${LIVE} and s.otp_device_id is not null and case when s.otp_device_id = 'recovery' then not ${confirmed('s')}
       else not exists (select from otp_device d
         where d.user_id = s.user_id and d.id::text = s.otp_device_id and d.confirmed_at is not null) end`],
  ['no verified session without proof, and no proof without it', `select user_id from otp_session
     where (otp_device_id is null) <> (otp_at is null) or (otp_device_id is null) <> (amr = '{pwd}')
       or (otp_device_id is not null and not otp_required)`],
  ['no live session relies on a factor that is gone', `select user_id from otp_session s
     where ${LIVE} and (cardinality(s.otp_factor_ids) <> case when s.otp_device_id is null or s.otp_device_id = 'recovery' then 0 else 1 end
       or exists (select from unnest(s.otp_factor_ids) f (id) where not exists (select from otp_device d
         where d.user_id = s.user_id and d.id::text = f.id and d.confirmed_at is not null)))`],
  ['a device is pending for a session, or confirmed for all', `select user_id from otp_device
     where (confirmed_at is null) <> (session_id is not null) or (confirmed_at is null) <> (expires_at is not null)`],
  ['an app has a step when it is confirmed, and a secret from the beginning', `select d.user_id from otp_device d
     left join otp_totp f on f.user_id = d.user_id and f.device_id = d.id
     where d.kind = 'totp' and (d.confirmed_at is null) is distinct from (f.last_step < 0)`],
  ['no device was confirmed by a session other than its own', `select e.user_id from otp_event e
     where e.kind = 'otp_enabled' and not exists (select from otp_session s
       where s.user_id = e.user_id and s.id = e.session_id and s.end_reason = 'otp_enabled')`],
  ['the version counts the changes of the factors', `select user_id from ${STANDINGS} u where u.version <> ${events('u', RAISING)}`],
  ['an end has a time, a transaction and a reason', `select user_id from otp_session
     where (ended_at is null) <> (ended_xid is null) or (ended_at is null) <> (end_reason is null)`],
  ['an account has a factor row and was signed up, once', `select a.id::text as user_id from account a
     left join otp_user u on u.user_id = a.id::text
     where u.user_id is null or ${events('u', "('signed_up')")} <> 1`],
  ['no row without an account', `select user_id from (
     select user_id from otp_device union select user_id from otp_recovery_code union select user_id from account_network
     union select user_id from account_oauth_profile
     union select user_id from otp_user o
       where not exists (select from otp_event e where e.user_id = o.user_id and e.kind = 'account_deleted')) x
     where not ${hasAccount('x')}`],
  ['of a deleted account there are only sessions that ended, without an address, and events that were waiting', `select user_id from (
     select user_id from otp_session s where s.ended_at is null or s.ip <> '' or s.agent <> ''
     union select user_id from otp_session s
       where not exists (select from otp_event e where e.user_id = s.user_id and e.kind = 'account_deleted')
     union select e.user_id from otp_event e join otp_event gone on gone.user_id = e.user_id and gone.kind = 'account_deleted'
       where e.kind <> 'account_deleted' and e.at < gone.at - interval '90 seconds') x
     where not ${hasAccount('x')}`],
  ['a set-up code has an end, and is for a user that must set up', `select user_id from otp_user
     where (setup_digest is null) <> (setup_expires_at is null) or (setup_digest is not null and not setup_required)`],
  ['a set-up code was used once at most', `select user_id from ${STANDINGS} u
     where ${events('u', "('setup_code_used')")} > ${events('u', "('otp_reset')")}`],
  ['a user that must set up has no device, and no session that opens more', `select user_id from ${STANDINGS} u
     where u.setup_required and (${confirmed('u')} or ${sessions('u', `${LIVE} and s.otp_deadline is null`)} > 0)`],
  ['no other user must set up where the policy asks for none', `select user_id from otp_session s
     where ${LIVE} and s.otp_deadline is not null and exists (select from account_policy where name = 'otp_policy' and value = 'optional')
       and not exists (select from otp_user u where u.user_id = s.user_id and u.setup_required)`],
  ['no session lives without end or before its start', 'select user_id from otp_session where expires_at <= started_at or generation < 0'],
  ['no budget is overdrawn', `select user_id from otp_session where failures > 5
     union select user_id from otp_device where failures > 10 union select user_id from otp_user where failures > 100`]
]

export interface Checked { held: number, broken: string[] }

/** Checks all invariants, each in one statement. */
export async function checkInvariants ({ query }: Pick<PostgresServer, 'query'>): Promise<Checked> {
  const broken: string[] = []
  for (const [sentence, violators] of invariants) {
    const rows = await query(`select distinct user_id from (${violators}) violators`)
    if (rows.length > 0) broken.push(`not so: ${sentence} (${rows.length} users)`)
  }
  return { held: invariants.length - broken.length, broken }
}
