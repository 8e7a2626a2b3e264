import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { eventKinds } from '../../src/events/kinds.js'
import { expect, signUp } from '../helpers/person.js'
import type { LightMyRequestResponse } from 'fastify'

const { app, db, clock } = await freshApp(t)
const { isHost } = doorOf(app)

type Decision = readonly [what: string, decide: () => Promise<LightMyRequestResponse>]

const WRONG = ['900001', '900002', '900003', '900004', '900005', '900006', '900007', '900008', '900009', '900010']

async function kindsSince (count: number): Promise<string[]> {
  const rows = await db.query<{ kind: string }>('select kind from otp_event order by at, id')
  return rows.slice(count).map(({ kind }) => kind).sort()
}
/** Events of decisions that a host makes, and logs, itself. */
const OF_A_HOST = ['signed_up', 'login_failed', 'logged_in', 'logged_out']
const loggedHere = (kinds: string[]) => kinds.filter((kind) => !isHost || !OF_A_HOST.includes(kind))
const countEvents = async () => (await db.query('select 1 from otp_event')).length

t.test('E5 each decision, its event, with the session, the address and the agent', async (t) => {
  const seen = new Set<string>()
  const leaves = async (kinds: string[], status: number, decide: () => Promise<LightMyRequestResponse>) => {
    const before = await countEvents()
    expect(status, await decide())
    const left = await kindsSince(before)
    t.same(left, loggedHere(kinds), kinds.join(', ') || 'none')
    for (const kind of left) seen.add(kind)
  }
  const owner = await signUp(app)
  t.same(await kindsSince(0), loggedHere(['signed_up']))
  await leaves(['login_failed'], 401, () => owner.login('wrong'))
  await leaves(['logged_in'], 200, () => owner.login())
  await leaves([], 201, () => owner.create())
  await leaves(['otp_refused'], 400, async () => owner.verify(await owner.wrongCode()))
  await leaves([], 200, () => owner.request('DELETE', '/totp/rollback'))
  expect(201, await owner.create())
  await leaves(['otp_enabled'], 200, () => owner.confirm())
  await leaves(['otp_verified'], 200, () => owner.verify())
  await leaves(['recovery_regenerated'], 201, () => owner.request('POST', '/totp/recovery_code/create'))

  const other = owner.elsewhere()
  await leaves(['logged_in'], 200, () => other.login())
  await leaves(['otp_verified'], 200, () => other.verify())
  const third = owner.elsewhere()
  expect(200, await third.login())
  await leaves(['recovery_refused'], 400, () => third.recover('7G3K-9QWE-RTY2-4HJM-PZXC-VB8N'))
  for (const token of WRONG.slice(0, 4)) await leaves(['otp_refused'], 400, () => third.verify(token))
  const before = await countEvents()
  expect(400, await third.verify(WRONG[4]!))
  for (const kind of await kindsSince(before)) seen.add(kind)
  t.ok(seen.has('otp_locked'), 'the fifth locks')
  const codes = (await owner.request('POST', '/totp/recovery_code/create')).json<string[]>()
  const fourth = owner.elsewhere()
  expect(200, await fourth.login())
  await leaves(['recovery_used'], 200, () => fourth.recover(codes[0]!))
  for (const token of WRONG.slice(5, 9)) expect(400, await fourth.verify(token))
  await leaves(['otp_session_spent'], 401, () => fourth.verify(WRONG[9]!))
  expect(200, await other.login())
  await leaves(['logged_out'], 204, () => other.request('POST', '/token/revoke'))
  if (!isHost) {
    const old = owner.refresh
    expect(200, await owner.refreshTokens())
    expect(200, await owner.refreshTokens())
    await leaves(['refresh_reused'], 401, () => owner.refreshTokens(old))
  }
  expect(200, await owner.login())
  await clock.advance(3600)
  expect(200, await owner.login())
  expect(200, await owner.verify())
  await leaves(['otp_disabled'], 200, () => owner.request('DELETE', '/totp/delete'))

  for (const kind of seen) t.ok(kind in eventKinds, `${kind} is of the closed table`)
  const incomplete = await db.query(`
    select kind from otp_event where ip = '' or agent = '' or user_id = ''
      or (session_id is null and kind not in ('signed_up', 'login_failed'))`)
  t.same(incomplete, [])
})

t.test('E5 no event, no decision: both or neither', async (t) => {
  const grace = await signUp(app, 'grace')
  await grace.enrol()
  const waiting = grace.elsewhere()
  expect(200, await waiting.login())
  const beginner = await signUp(app, 'beginner')
  expect(200, await beginner.login())
  expect(201, await beginner.create())
  const state = async () => JSON.stringify([
    await db.query('select id, ended_at, otp_device_id, otp_at from otp_session order by 1'),
    await db.query('select id, confirmed_at, last_step from otp_device join otp_totp on device_id = id order by 1'),
    await db.query('select digest, used_at from otp_recovery_code order by 1'),
    await db.query('select id from account order by 1')
  ])
  const before = await state()
  const codes = { ours: await waiting.nextCode(), first: await beginner.nextCode() }

  await db.query('alter table otp_event add constraint nothing_is_written check (false) not valid')
  const ofTheService: Decision[] = [
    [
      'sign-up',
      () => grace.request('POST', '/users', { username: 'late', email: 'l@example.org', password: 'correct horse battery' }, null)
    ],
    ['login', () => grace.elsewhere().login()],
    ['logging out', () => grace.request('POST', '/token/revoke')]
  ]
  const decisions: Decision[] = [
    ['verify', () => waiting.verify(codes.ours)],
    ['confirm', () => beginner.verify(codes.first)],
    ['recover', () => waiting.recover(grace.recoveryCodes[0])],
    ['new codes', () => grace.request('POST', '/totp/recovery_code/create')],
    ['switching off', () => grace.request('DELETE', '/totp/delete')]
  ]
  for (const [what, decide] of isHost ? decisions : [...ofTheService, ...decisions]) {
    const answer = await decide()
    t.equal(answer.statusCode, 500, `${what}: ${answer.body}`)
    if (!isHost) t.same(Object.keys(answer.json()), ['statusCode', 'code', 'error', 'message', 'requestId'], what)
  }
  t.equal(await state(), before, 'nothing was granted, nothing ended, nothing used up')

  await db.query('alter table otp_event drop constraint nothing_is_written')
  expect(200, await waiting.verify(codes.ours))
  expect(200, await beginner.verify(codes.first))
  t.pass('T12 the same codes are good afterwards')
})
