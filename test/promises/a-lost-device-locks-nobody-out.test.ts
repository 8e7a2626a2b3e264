import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { onServer } from '../helpers/database.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { countEvents } from '../helpers/stored.js'

const { app, db } = await freshApp(t)
const status = async (person: Person) =>
  (await person.request('GET', '/totp/status')).json<{ isOtpEnabled: boolean, recoveryCodesLeft: number }>()

t.test('R5 R3 a recovery code gives a verified session, does not switch 2FA off, and shows in the log', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [session] = await sessionsOf(ada, 1)
  const { access, refresh } = session!
  const answer = expect(200, await session!.recover(ada.recoveryCodes[0]!))
  t.equal(answer.json().recoveryCodesLeft, 4)
  const { otp_device_id: device, amr, otp_required: required } = session!.claims()
  t.same([device, amr, required], ['recovery', ['pwd', 'recovery', 'mfa'], true])
  for (const url of ['/session', '/session?required', '/session?required&maxAge=300', '/account']) {
    t.equal(outcome(await session!.request('GET', url)), '200', url)
  }
  t.match(await status(session!), { isOtpEnabled: true, recoveryCodesLeft: 4 })
  t.equal(outcome(await session!.request('GET', '/session', undefined, access)), '401 SESSION_ENDED', 'the session from before has ended')
  if (refresh !== null) t.equal(outcome(await session!.request('POST', '/token/refresh', { refresh }, null)), '401 SESSION_ENDED')
  t.equal(await countEvents(db, ada, 'recovery_used'), 1)
  const [next] = await sessionsOf(ada, 1)
  t.equal(outcome(await next!.request('GET', '/session')), '403 OTP_REQUIRED', 'the next login owes its factor as before')
  t.equal(outcome(await next!.verify()), '200', 'which still works')
})

t.test('R3 each code once, in any order and spelling; then none is left', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const spellings = [(code: string) => code, (code: string) => code.toLowerCase(), (code: string) => code.replaceAll('-', ''),
    (code: string) => `${code.replaceAll('-', ' – ')}.`,
    (code: string) => code.replaceAll('0', 'O').replaceAll('1', 'l')]
  for (const [i, spell] of spellings.entries()) {
    const [session] = await sessionsOf(bob, 1)
    const answer = expect(200, await session!.recover(spell(bob.recoveryCodes[4 - i]!)))
    t.equal(answer.json().recoveryCodesLeft, 4 - i)
  }
  const [session] = await sessionsOf(bob, 1)
  for (const code of bob.recoveryCodes) t.equal(outcome(await session!.recover(code)), '400 RECOVERY_CODE_INVALID')
  t.equal((await status(session!)).recoveryCodesLeft, 0)
  t.equal(outcome(await session!.verify()), '200', 'the device still works')
  t.equal((expect(201, await session!.request('POST', '/totp/recovery_code/create'))).json<string[]>().length, 5)
  t.equal((await status(session!)).recoveryCodesLeft, 5)
})

t.test('R4 recovery codes are refused while the device is pending, and after the last device is removed', async (t) => {
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  expect(201, await cyd.create())
  const codes = [...cyd.recoveryCodes]
  const other = cyd.elsewhere()
  expect(200, await other.login())
  for (const session of [cyd, other]) t.equal(outcome(await session.recover(codes[0]!)), '400 RECOVERY_CODE_INVALID')
  t.equal((await status(cyd)).recoveryCodesLeft, 0)
  expect(200, await cyd.request('DELETE', '/totp/rollback'))
  t.equal(outcome(await cyd.recover(codes[0]!)), '400 RECOVERY_CODE_INVALID', 'and after it was taken back')

  expect(201, await cyd.create())
  expect(200, await cyd.confirm())
  const alive = [...cyd.recoveryCodes]
  cyd.access = expect(200, await cyd.request('DELETE', '/totp/delete')).json<{ access: string }>().access
  t.equal(outcome(await cyd.recover(alive[0]!)), '400 RECOVERY_CODE_INVALID')
  t.match(await status(cyd), { isOtpEnabled: false, isPending: false, recoveryCodesLeft: 0 })
  expect(201, await cyd.create())
  expect(200, await cyd.confirm())
  const [session] = await sessionsOf(cyd, 1)
  for (const code of [...codes, ...alive]) {
    t.equal(outcome(await session!.recover(code)), '400 RECOVERY_CODE_INVALID', 'nor does a new device wake them')
  }
  t.equal(outcome(await session!.recover(cyd.recoveryCodes[0]!)), '200')
})

t.test('R3 E6 codes are the user\'s own, and are shown once', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const eve = await (await signUp(app, 'eve')).enrol()
  const [session] = await sessionsOf(eve, 1)
  t.equal(outcome(await session!.recover(dan.recoveryCodes[0]!)), '400 RECOVERY_CODE_INVALID')
  await db.query(
    'insert into otp_recovery_code (user_id, digest, created_at) select $2, digest, created_at from otp_recovery_code where user_id = $1',
    [userId(dan), userId(eve)]
  )
  t.equal(
    outcome(await session!.recover(dan.recoveryCodes[0]!)),
    '400 RECOVERY_CODE_INVALID',
    'not even copied to another account in the database'
  )
  const bodies = (await Promise.all(['/totp/status', '/account', '/session'].map((url) => dan.request('GET', url))))
    .map(({ body }) => body)
    .join()
  for (const code of dan.recoveryCodes) t.notOk(bodies.includes(code))
  t.same((expect(201, await dan.create())).json().recoveryCodes, [], 'a further device shows none')
})

t.test('R1 a guess costs one look-up by primary key, however many codes there are', async (t) => {
  const explain = "explain (format json) select from otp_recovery_code where user_id = 'x' and digest = 'y'"
  // Once autovacuum has seen that the table is small, PostgreSQL reads all of it.
  const plan = db.url === undefined ? await db.query(explain) : await onServer(db.url, ['set enable_seqscan = off', explain])
  t.match(JSON.stringify(plan), /otp_recovery_code_pk/)
  const rows = await db.query<{ digest: string }>('select digest from otp_recovery_code')
  t.ok(rows.every(({ digest }) => Buffer.from(digest, 'base64url').length === 32))
})

t.test('R5 a code used in a verified session steps it up; the second factor stays on', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  expect(200, await fay.recover(fay.recoveryCodes[0]!))
  t.equal(fay.claims()['otp_device_id'], 'recovery')
  expect(200, await fay.verify())
  t.equal(fay.claims()['otp_device_id'], fay.deviceId, 'a code from the device, later, says so')
  t.match(await status(fay), { isOtpEnabled: true, recoveryCodesLeft: 4 })
})
