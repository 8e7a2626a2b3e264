import t from 'tap'
import { freshApp } from './helpers/app.js'
import { cheapHasher } from './helpers/cheap-hasher.js'
import { need } from './helpers/need.js'
import { creation } from './helpers/passkeys.js'
import { expect, signUp } from './helpers/person.js'
import { idOf } from './helpers/staff.js'
import { sized } from './helpers/thorough.js'
import { rowsOf, rowsOfSession, settledOf, twinOf } from './helpers/twin.js'
import { sessionOf, userOperations } from './helpers/user-operations.js'

/*
 * An operation changes rows of its user alone, and goes by the rows of its user alone. Beside each user there is a twin with copies of
 * all rows, whose sessions and devices have the same ids: ids are unique for one user, and a host's sessions need not be more. Of its own
 * user, it changes no end of a session, no used code, and another session with its set-up only if it is about that.
 */

await need('postgres')
const fresh = await freshApp(t, { OTP_FRESH_SECONDS: '3600' }, { hasher: cheapHasher })
const { app, db: { query }, clock } = fresh
await clock.freeze()
t.setTimeout(300_000)
const { owner, operations } = await userOperations(fresh)

for (const operation of operations) {
  const { name, isRefused = false, touches, prepare } = operation
  t.test(`E6 ${name} changes rows of its user alone`, async (t) => {
    const ada = await owner()
    const send = await prepare(ada)
    const twin = await twinOf(query, ada.id)
    const before = JSON.stringify(await rowsOf(query, ada.id))
    const twinBefore = await rowsOf(query, twin)
    const [settled, other] = [await settledOf(query, ada.id, ada.spareId), await rowsOfSession(query, ada.id, ada.otherId)]
    const sid = sessionOf(ada, operation)
    const { statusCode, body } = await send()
    if (isRefused) t.ok(statusCode >= 400 && statusCode < 500, body)
    else t.ok(statusCode < 300, `${statusCode} ${body}`)
    if (operation.of !== undefined && body.includes('"access"')) {
      const isReplaced = ada.session.claims(JSON.parse(body).access)['sid'] !== sid
      const [row] = await query<{ over: boolean }>('select ended_at is not null as over from otp_session where user_id = $1 and id = $2',
        [ada.id, sid])
      t.equal(row?.over, isReplaced, 'the session ends if another one takes its place')
    }
    t.same(await rowsOf(query, twin), twinBefore, 'the twin')
    t.not(JSON.stringify(await rowsOf(query, ada.id)), before, 'the user')
    for (const [key, value] of await settledOf(query, ada.id, ada.spareId)) if (settled.has(key)) t.same(value, settled.get(key), key)
    const { session, 'set-up': setUp } = await rowsOfSession(query, ada.id, ada.otherId)
    if (touches === null) t.same(session, other.session, 'another session')
    const codes = 'select digest from otp_recovery_code where user_id = $1 and right(digest, 36) = $2 and pending_device_id is null'
    t.same(await query(`${codes} and used_at is null`, [ada.id, ada.otherId]), [], 'codes that another session saw are not in force')
    if (touches !== 'set-up') t.same(setUp, other['set-up'], 'the set-up of another session')
  })
}

/** Ends of a session that no replica has heard of: the guard lets the request through, and the statement decides. */
const ends = sized(['has ended'], ['has ended', 'has expired', 'is ended by a mark'])
/** Operations that need a second factor of the session's row, whatever its token shows. */
const verified = [
  'new recovery codes', 'a removed device', 'the removal of the device of its session', 'no second factor any more'
]
const statements: Record<string, string> = {
  'has ended': "update otp_session set ended_at = now(), end_reason = 'logged_out' where user_id = $1 and id = $2",
  'has expired': 'update otp_session set expires_at = clock_timestamp() where user_id = $1 and id = $2',
  'has lost its proof': 'update otp_session set otp_device_id = null where user_id = $1 and id = $2',
  'is ended by a mark': "update otp_revocation set ended_before = clock_timestamp() + interval '1 second' where user_id = $1 and $2 <> ''"
}

for (const operation of operations.filter(({ of }) => of !== undefined)) {
  t.test(`J5 E6 ${operation.name} changes nothing if the session has ended, although its twin lives`, async (t) => {
    for (const what of verified.includes(operation.name) ? [...ends, 'has lost its proof'] : ends) {
      const ada = await owner()
      const send = await operation.prepare(ada)
      const twin = await twinOf(query, ada.id)
      await query(statements[what]!, [ada.id, sessionOf(ada, operation)])
      const before = await rowsOf(query, ada.id)
      const twinBefore = await rowsOf(query, twin)
      const { statusCode, body } = await send()
      t.ok(statusCode >= 400 && statusCode < 500, `${what}: ${statusCode} ${body}`)
      t.same(await rowsOf(query, ada.id), before, `${what}: the user`)
      t.same(await rowsOf(query, twin), twinBefore, `${what}: the twin`)
    }
  })
}

t.test('E6 the answer of a refresh names the methods of its user, of confirmed devices and of codes that are left', async (t) => {
  await owner()
  const session = await (await signUp(app, 'methods')).enrol()
  const unverified = session.elsewhere()
  expect(200, await unverified.login())
  await creation(session)
  await query('update otp_recovery_code set used_at = clock_timestamp() where user_id = $1', [idOf(session)])
  await query(`insert into otp_recovery_code (user_id, digest, created_at, pending_device_id)
    select user_id, 'of a pending device', created_at, id from otp_device where user_id = $1 and confirmed_at is null`, [idOf(session)])
  const parent = unverified.refresh
  for (const token of [parent, parent]) t.same(expect(200, await unverified.refreshTokens(token)).json().otpMethods, ['totp'])
})

t.test('E6 a user without a second factor owes none, whatever others have', async (t) => {
  const person = await signUp(app, 'somebody')
  t.match(expect(200, await person.login()).json(), { otpRequired: false })
  t.match(expect(200, await person.request('GET', '/totp/status')).json(), { recoveryCodesLeft: 0 })
  expect(201, await person.create())
  expect(200, await person.confirm())
  expect(200, await person.request('DELETE', '/totp/delete'))
})
