import { sql } from 'kysely'
import { rows, type Db } from '../../src/tables/db.js'

/** Devices and sessions per user. Events are a little more than one log-in writes. */
const EACH = 2
const EVENTS_EACH = 3
/** One session in ten has ended. The index for the revocation poller holds these. */
const ENDED_ONE_IN = 10
/** As long as real sealed or hashed values. */
const SEALED_LENGTH = 83
const HASH = `$argon2id$v=19$m=19456,t=2,p=1$${'a'.repeat(22)}$${'b'.repeat(43)}`

/** Fills a migrated database with users as they are after some time, by SQL alone. No client can log in as one of these users. */
export async function putManyUsers (db: Db, users: number): Promise<void> {
  const { table } = db
  const id = sql`md5('user' || u)::uuid`
  const uuidOf = (what: string) => sql`md5(${sql.lit(what)} || u || '/' || n)::uuid`
  const everybody = sql`generate_series(1, ${users}::int) u`
  const each = (count: number) => sql`${everybody}, generate_series(1, ${count}::int) n`
  const statements = [
    sql`insert into ${table.otp_user} (user_id, version) select ${id}::text, 1 from ${everybody}`,
    sql`insert into ${table.account}
        (id, username, username_key, password_hash, is_active, is_staff, email, phone, first_name, last_name, created_at, updated_at)
      select ${id}, 'user-' || u, 'user-' || u, ${HASH}, true, false,
        'user-' || u || '@example.org', '', '', '', now(), now() from ${everybody}`,
    sql`insert into ${table.account_network} (user_id, network, last_login_at, verified)
      select ${id}::text, '192.0.2.' || u % 256, now(), true from ${everybody}`,
    sql`insert into ${table.password_budget} (name_digest, network, window_started_at, spent)
      select md5('name' || u), '192.0.2.1', now(), 1 from ${everybody}`,
    sql`insert into ${table.otp_device} (user_id, id, name, created_at, confirmed_at)
      select ${id}::text, ${uuidOf('device')}, 'Phone ' || n, now(), now() from ${each(EACH)}`,
    sql`insert into ${table.otp_totp} (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step)
      select ${id}::text, ${uuidOf('device')}, repeat('s', ${SEALED_LENGTH}::int), 6, 30, 0, 1 from ${each(EACH)}`,
    sql`insert into ${table.otp_recovery_code} (user_id, digest, created_at)
      select ${id}::text, md5('code' || u || '/' || n), now() from ${each(EACH)}`,
    sql`insert into ${table.otp_session}
        (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent,
         ended_at, ended_xid, end_reason)
      select ${id}::text, ${uuidOf('session')}::text, now(), now() + interval '30 days', now(),
        '{pwd,otp,mfa}', true, ${uuidOf('device')}::text, now(), now(), '192.0.2.1', 'an agent',
        case when is_over then now() end, case when is_over then pg_current_xact_id() end, case when is_over then 'logged_out' end
      from ${each(EACH)}, lateral (select (u * ${EACH} + n) % ${ENDED_ONE_IN} = 0 as is_over) over_`,
    sql`insert into ${table.otp_event_current} (user_id, at, id, kind, ip, agent)
      select ${id}::text, now() - make_interval(secs => u), ${uuidOf('event')}, 'otp_verified', '192.0.2.1', 'an agent'
      from ${each(EVENTS_EACH)}`,
    sql`vacuum analyze`
  ]
  for (const statement of statements) await rows(db, statement)
}
