import { randomUUID } from 'node:crypto'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { cleanUp } from '../helpers/cleanup.js'
import { askHost, fromHeaders, type Asker } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'

await need('postgres')
const { db, clock, anotherHost } = await freshHost(t)
const ended: unknown[] = []
const options = {
  ...fromHeaders,
  checkPassword: async (_request: unknown, _userId: string, password: string) => password === 'right',
  endSessions: (userId: string, { except }: { except: string | null }) => { ended.push({ userId, except }) }
}
const app = await anotherHost(options)
const replica = await anotherHost(options)
const DAY = 86_400
const nowSeconds = async () => Math.floor((await clock.now()).getTime() / 1000)

const TABLES = [
  'otp_user', 'otp_device', 'otp_totp', 'otp_passkey', 'otp_challenge', 'otp_recovery_code', 'otp_session', 'otp_ended_session',
  'otp_revocation', 'otp_event', 'otp_event_counter', 'otp_password_budget'
]
const PASSKEY = `insert into otp_passkey (user_id, device_id, rp_id, credential_id, public_key, algorithm, sign_count, transports,
    aaguid, backup_eligible, backed_up)
  select user_id, id, 'example.org', 'x', '', -7, 0, '{}', gen_random_uuid(), false, false from otp_device
  where user_id = $1 and confirmed_at is not null`
/** Returns the number of a user's rows by table, without the tables that have none. */
async function rowsOf (id: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of TABLES) {
    counts[table] = (await db.query<{ n: number }>(`select count(*)::int as n from ${table} where user_id = $1`, [id]))[0]!.n
  }
  return Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0))
}

async function cleanUpAll (): Promise<void> {
  while ((await cleanUp(insideOf(app).db, 400)).isMore);
}

interface Owner { verified: Asker, unverified: Asker, code: () => Promise<string>, recoveryCodes: string[] }

/** Makes a user with rows in every table: a device, a pending device, live and ended sessions, wrong passwords and codes. */
async function settled (user: string): Promise<Owner> {
  const first = { user, session: `${randomUUID()}`, at: await nowSeconds() }
  await askHost(app, first, 'POST', '/totp/create', { password: 'wrong' })
  const { otpUrl, recoveryCodes } = (await askHost(app, first, 'POST', '/totp/create', {})).json<{
    otpUrl: string, recoveryCodes: string[]
  }>()
  const code = async () => {
    await clock.advance(30)
    return totp(secretOf(otpUrl), stepAt(await clock.now()))
  }
  const { session } = (await askHost(app, first, 'POST', '/totp/login', { token: await code() })).json<{ session: string }>()
  const verified = { ...first, session }
  t.equal(outcome(await askHost(app, verified, 'POST', '/totp/create', { name: 'Pending' })), '201')
  const unverified = { ...first, session: randomUUID() }
  for (let i = 0; i < 2; i++) {
    await askHost(app, unverified, 'POST', '/totp/recovery_code/login', { token: 'AAAA-AAAA-AAAA-AAAA-AAAA-AAAA' })
  }
  return { verified, unverified, code, recoveryCodes }
}

t.test('all rows of the user are deleted in one transaction, and sessions end at every replica', async (t) => {
  await settled('bystander')
  const others = await rowsOf('bystander')
  const { verified, unverified, code } = await settled('ada@example.org')
  await db.query(`insert into otp_challenge (user_id, session_id, purpose, challenge, expires_at, created_at)
    values ('ada@example.org', $1, 'verify', '', now(), now())`, [verified.session])
  await db.query(PASSKEY, ['ada@example.org'])
  t.equal(outcome(await askHost(replica, verified, 'GET', '/session?required')), '200', 'the replica knows it as alive')
  t.same(
    Object.keys(await rowsOf('ada@example.org')),
    TABLES.filter((table) => !['otp_ended_session', 'otp_revocation'].includes(table)),
    'so that the check below shows something'
  )
  ended.length = 0

  await app.countersign.forget('ada@example.org')
  t.same(ended, [{ userId: 'ada@example.org', except: null }], 'the host is notified')
  for (const asker of [verified, unverified]) {
    t.equal(outcome(await askHost(app, asker, 'GET', '/totp/status')), '401 SESSION_ENDED', 'here at once')
  }
  await insideOf(replica).sessions.poll()
  for (const asker of [verified, unverified]) t.equal(outcome(await askHost(replica, asker, 'GET', '/totp/status')), '401 SESSION_ENDED')
  t.same(Object.keys(await rowsOf('ada@example.org')), ['otp_session', 'otp_revocation', 'otp_event'])
  t.same(
    await db.query(
      "select 1 from otp_session where user_id = 'ada@example.org' and (ended_at is null or ended_xid is null or ip <> '' or agent <> '')"
    ),
    [],
    'ended, and emptied'
  )
  t.same(await db.query("select kind, session_id, ip, agent from otp_event where user_id = 'ada@example.org'"), [
    { kind: 'account_deleted', session_id: null, ip: '', agent: '' }
  ])
  t.same(await rowsOf('bystander'), others, 'no other user lost anything')

  t.equal(outcome(await askHost(app, verified, 'POST', '/totp/login', { token: await code() })), '401 SESSION_ENDED')
  await clock.advance(8 * DAY)
  await cleanUpAll()
  t.same(Object.keys(await rowsOf('ada@example.org')), ['otp_ended_session', 'otp_revocation', 'otp_event'])
})

t.test('J5 the id\'s next user meets no factor of the former one, whose sessions open nothing', async (t) => {
  const user = 'shared@example.org'
  const { verified, unverified } = await settled(user)
  const at = await nowSeconds()
  await app.countersign.forget(user)
  const next = { user, session: 'next', at: await nowSeconds() }
  const opens = async () => {
    for (const host of [app, replica]) {
      await insideOf(host).sessions.poll()
      t.equal(outcome(await askHost(host, next, 'GET', '/session')), '200')
      t.match((await askHost(host, next, 'GET', '/totp/status')).json(), { isOtpEnabled: false, recoveryCodesLeft: 0 })
      for (const former of [verified, unverified, { ...verified, at: next.at }]) {
        t.equal(outcome(await askHost(host, former, 'GET', '/session')), '401 SESSION_ENDED')
      }
      for (const [proof, given] of [
        ['before', at - 60], ['in the same second', at], ['long before', 1], ['of unknown age', null]
      ] as const) {
        const unseen = { user, session: `never seen, proof ${proof}`, at: given }
        for (const [method, path] of [
          ['GET', '/session'], ['POST', '/totp/create']
        ] as const) {
          t.equal(
            outcome(await askHost(host, unseen, method, path, method === 'POST' ? {} : undefined)),
            '401 SESSION_ENDED',
            `${proof} ${path}`
          )
        }
      }
    }
  }
  await opens()
  await clock.advance(8 * DAY)
  await cleanUpAll()
  await opens()
  t.equal(outcome(await askHost(app, { user, session: 'another', at: await nowSeconds() }, 'GET', '/session?maxAge=60')), '200')
  const kept = await rowsOf(user)
  t.ok(kept['otp_session']! >= 2 && kept['otp_user'] === 1, 'the clean-up of the former user took nothing of the next one')
})

t.test('J5 the mark is kept for `endedSessionDays`, and moves on with a further deletion', async (t) => {
  const user = 'twice@example.org'
  await app.countersign.forget(user)
  const between = await nowSeconds()
  t.equal(outcome(await askHost(app, { user, session: 'between', at: between }, 'GET', '/session')), '200')
  await replica.countersign.forget(user)
  for (const session of ['between', 'unseen']) {
    t.equal(outcome(await askHost(replica, { user, session, at: between }, 'GET', '/session')), '401 SESSION_ENDED')
  }
  await clock.advance(433 * DAY)
  await cleanUpAll()
  await cleanUpAll()
  t.same(await rowsOf(user), {})
})

t.test('T8 fifty at once, with other requests: no request is let in, no row is left', async (t) => {
  const user = 'cyd@example.org'
  const { verified, unverified, code, recoveryCodes } = await settled(user)
  const token = await code()
  const hosts = [app, replica]
  const [forgets, ...rest] = await Promise.all([
    Promise.allSettled(Array.from({ length: 50 }, (_, i) => hosts[i % 2]!.countersign.forget(user))),
    Promise.all(Array.from({ length: 10 }, (_, i) => askHost(hosts[i % 2]!, unverified, 'POST', '/totp/login', { token }))),
    Promise.all(recoveryCodes.map((token, i) => askHost(hosts[i % 2]!, unverified, 'POST', '/totp/recovery_code/login', { token }))),
    Promise.all(Array.from({ length: 10 }, (_, i) => askHost(hosts[i % 2]!, verified, 'POST', '/totp/create', { name: 'Third' }))),
    Promise.all(Array.from({ length: 10 }, (_, i) => askHost(hosts[i % 2]!, { ...unverified, session: `late ${i}` }, 'GET', '/session')))
  ])
  t.ok(forgets.some(({ status }) => status === 'fulfilled'))
  t.ok(forgets.every((one) => one.status === 'fulfilled' || one.reason.code === 'UNAVAILABLE'))
  for (const answers of rest) {
    t.ok(
      answers.every(({ statusCode }) => statusCode < 500 || statusCode === 503), JSON.stringify(countOutcomes(answers))
    )
  }
  const {
    otp_session: sessions, otp_event: events, otp_user: lock = 0, otp_revocation: mark, otp_event_counter: counters = 0, ...left
  } = await rowsOf(user)
  t.same(left, {})
  t.ok(sessions! >= 2 && events! >= 1 && lock <= 1 && mark === 1 && counters <= 3)
  t.same(await db.query('select 1 from otp_session where user_id = $1 and ended_at is null', [user]), [])
  await clock.advance(8 * DAY)
  await cleanUpAll()
  t.same(Object.keys(await rowsOf(user)), ['otp_ended_session', 'otp_revocation', 'otp_event'])
  t.same(await db.query("select 1 from otp_event where user_id = $1 and kind <> 'account_deleted'", [user]), [])
})

t.test('a value that is not an id is refused', async (t) => {
  for (const id of [undefined, null, '', 7, {}, 'x'.repeat(256), 'a\0']) {
    await t.rejects(app.countersign.forget(id as string), /^countersign: forget\(\)/)
  }
})
