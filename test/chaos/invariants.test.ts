import pg from 'pg'
import t from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { checkInvariants } from './invariants.js'

await need('postgres')

const USER = '11111111-1111-4111-8111-111111111111'
const DEVICE = '22222222-2222-4222-8222-222222222222'
const PENDING = '33333333-3333-4333-8333-333333333333'

const event = (kind: string, session = 'first') =>
  `insert into otp_event values ('${USER}', clock_timestamp(), gen_random_uuid(), '${kind}', '${session}', '', '');`
const session = (id: string, columns = '', values = '') =>
  `insert into otp_session (user_id, id, started_at, expires_at, auth_at, rotated_at, ip, agent, amr, otp_required${columns})
     values ('${USER}', '${id}', now(), now() + interval '1 day', now(), now(), '', ''${values});`
const device = (id: string, columns = '', values = '') =>
  `insert into otp_device (user_id, id, name, created_at${columns}) values ('${USER}', '${id}', '', now()${values});`
const totp = (id: string, step: number) =>
  `insert into otp_totp (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step)
     values ('${USER}', '${id}', '', 6, 30, 0, ${step});`

/** A user that signed up, logged in and confirmed a device. */
const sound = `
  insert into account values ('${USER}', 'ada', 'ada', '', true, false, '', '', '', '', null, null, now(), now());
  insert into otp_user values ('${USER}', 1, 0, null);
  ${event('signed_up')} ${event('logged_in')} ${event('otp_enabled')}
  ${session('first', ', ended_at, ended_xid, end_reason', ", '{pwd}', false, now(), pg_current_xact_id(), 'otp_enabled'")}
  ${session('second', ', otp_device_id, otp_factor_ids, otp_at', `, '{pwd,otp,mfa}', true, '${DEVICE}', '{${DEVICE}}', now()`)}
  ${device(DEVICE, ', confirmed_at', ', now()')} ${totp(DEVICE, 5)}
  insert into otp_recovery_code values ('${USER}', 'digest', null, now(), null);`

/** Statements that break an invariant. Each row names one invariant and can break others too. */
const breaks: Array<readonly [sentence: RegExp, statements: string]> = [
  [
    /one verified session at most for each accepted code/,
    session('third', ', otp_device_id, otp_at', `, '{pwd,otp,mfa}', true, '${DEVICE}', now()`)
  ],
  [/one session for each used recovery code/, event('recovery_used')],
  [
    /one session for each used recovery code/,
    session('third', ', otp_device_id, otp_at', ", '{pwd,recovery,mfa}', true, 'recovery', now()")
  ],
  [/no recovery code used without an event/, 'update otp_recovery_code set used_at = now()'],
  [/one session for each right password/, event('logged_in')],
  [/no confirmed device without an event/, "delete from otp_event where kind = 'otp_enabled'"],
  [/half-enabled/, 'delete from otp_recovery_code'],
  [/no living recovery code without a confirmed device/, 'delete from otp_device'],
  [/no recovery code of a pending device that is gone/, `update otp_recovery_code set pending_device_id = '${PENDING}'`],
  [
    /no first pending device without recovery codes/,
    `delete from otp_device; ${device(PENDING, ', session_id, expires_at', ", 'first', now() + interval '1 day'")} ${totp(PENDING, -1)}`
  ],
  [/no live session that needs no second factor/, session('third', '', ", '{pwd}', false")],
  [/no live session that was verified by a device that is gone/, 'delete from otp_device'],
  [/no verified session without proof/, "update otp_session set otp_at = null where id = 'second'"],
  [/no live session relies on a factor that is gone/, `update otp_session set otp_factor_ids = '{${PENDING}}' where id = 'second'`],
  [/no live session relies on a factor that is gone/, "update otp_session set otp_factor_ids = '{}' where id = 'second'"],
  [/a device is pending for a session, or confirmed for all/, "update otp_device set session_id = 'first'"],
  [/an app has a step when it is confirmed/, 'update otp_totp set last_step = -1'],
  [/an app has a step when it is confirmed/, 'delete from otp_totp'],
  [/no device was confirmed by a session other than its own/, "update otp_event set session_id = 'second' where kind = 'otp_enabled'"],
  [/the version counts/, 'update otp_user set version = 2'],
  [/an end has a time/, "update otp_session set ended_xid = null where id = 'first'"],
  [/an account has a factor row/, event('signed_up')],
  [/no row without an account/, 'delete from account'],
  [/no row without an account/, `delete from account; ${event('account_deleted')} delete from otp_recovery_code`],
  [/of a deleted account there are only/, `delete from account; ${event('account_deleted')}`],
  [
    /of a deleted account there are only/,
    `delete from account; delete from otp_event;
     update otp_session set ended_at = now(), ended_xid = pg_current_xact_id(), end_reason = ''`
  ],
  [/a set-up code has an end/, "update otp_user set setup_required = true, setup_digest = 'x'"],
  [/a set-up code has an end/, "update otp_user set setup_digest = 'x', setup_expires_at = now()"],
  [/a set-up code was used once/, event('setup_code_used')],
  [/a user that must set up has no device/, 'update otp_user set setup_required = true'],
  [
    /a user that must set up has no device/,
    `delete from otp_device; delete from otp_recovery_code; update otp_user set setup_required = true;
     update otp_session set otp_device_id = null, otp_at = null where id = 'second'`
  ],
  [
    /no other user must set up/,
    "insert into account_policy values ('otp_policy', 'optional', now()); update otp_session set otp_deadline = now() where id = 'second'"
  ],
  [/no session lives without end/, "update otp_session set expires_at = started_at where id = 'second'"],
  [/no budget is overdrawn/, "update otp_session set failures = 6 where id = 'second'"]
]

t.test('each invariant holds where all is well, and notices what it is there for', async (t) => {
  const { url } = await freshDatabase(t)
  const pool = openPostgres(url, 2, () => {}, 0)
  await migrateUp(pool.dialect, serviceMigrations)
  await pool.close()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const query = async (text: string) => (await client.query(text)).rows as Array<Record<string, unknown>>

  await client.query(sound)
  t.same(await checkInvariants({ query }), { held: new Set(breaks.map(([sentence]) => sentence.source)).size, broken: [] })
  for (const [sentence, statements] of breaks) {
    await client.query('begin')
    await client.query(statements)
    const { broken } = await checkInvariants({ query })
    await client.query('rollback')
    t.ok(broken.some((one) => sentence.test(one)), `${sentence}: ${broken.join('; ')}`)
  }
})
