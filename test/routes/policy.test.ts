import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { opensOnlyTheSetUp } from '../helpers/set-up.js'

await need('postgres')

const DAY = 24 * 3600

/** Longer lifetimes, because the tests move the clock by days. */
const long = { REFRESH_SECONDS: '31536000', SESSION_SECONDS: '31536000', ACCESS_SECONDS: '86400' }

t.test('optional: nobody is asked, no deadline is told', async (t) => {
  const { app, clock } = await freshApp(t, { OTP_GRACE_DAYS: '0' })
  const ada = await signUp(app)
  t.equal((await ada.login()).json().otpDeadline, null)
  t.equal((await ada.request('GET', '/totp/status')).json().otpDeadline, null)
  await clock.advance(3 * DAY)
  await ada.login()
  t.equal((await ada.request('GET', '/account')).statusCode, 200)
})

t.test('required: open until the grace after sign-up is over, and then only for setting up', async (t) => {
  const { app, clock } = await freshApp(t, { ...long, OTP_POLICY: 'required', OTP_GRACE_DAYS: '14' })
  await clock.advance(100 * DAY)
  const ada = await signUp(app)
  const told = new Date((await ada.login()).json().otpDeadline).getTime()
  const { createdAt } = (await ada.request('GET', '/account')).json<{ createdAt: string }>()
  t.equal(
    told, Math.floor((new Date(createdAt).getTime() + 14 * DAY * 1000) / 1000) * 1000, '14 days from the sign-up, not from the policy'
  )
  t.equal(new Date((await ada.request('GET', '/totp/status')).json().otpDeadline).getTime(), told)

  await clock.advance(14 * DAY - 60)
  await ada.refreshTokens()
  t.equal((await ada.request('GET', '/account')).statusCode, 200, 'a minute before')
  await clock.advance(120)
  await opensOnlyTheSetUp(t, ada)
  t.equal((await ada.refreshTokens()).statusCode, 200, 'it refreshes')
  await opensOnlyTheSetUp(t, ada)

  const elsewhere = ada.elsewhere()
  t.equal((await elsewhere.login()).statusCode, 200, 'and logs in')
  await opensOnlyTheSetUp(t, elsewhere)
  expect(201, await elsewhere.create())
  expect(200, await elsewhere.confirm())
  t.equal((await elsewhere.request('GET', '/account')).statusCode, 200, 'a device opens it')
  t.equal((await elsewhere.request('GET', '/totp/status')).json().otpDeadline, null, 'nothing is due any more')
  t.equal((await ada.elsewhere().login()).json().otpDeadline, null)
})

const noGrace = await freshApp(t, { OTP_POLICY: 'required', OTP_GRACE_DAYS: '0' })

t.test('required, no grace: the very first session opens only the set-up; removing the last device leads back there', async (t) => {
  const ada = await signUp(noGrace.app)
  expect(200, await ada.login())
  await opensOnlyTheSetUp(t, ada)
  await ada.enrol()
  t.equal((await ada.request('GET', '/account')).statusCode, 200)
  const removed = expect(200, await ada.request('DELETE', '/totp/delete')).json<{ access: string }>()
  ada.access = removed.access
  await opensOnlyTheSetUp(t, ada)
})

t.test('the last of several devices, removed by its id, leads there too', async (t) => {
  const ada = await (await signUp(noGrace.app, 'eve')).enrol()
  ada.access = expect(200, await ada.request('DELETE', `/totp/devices/${ada.deviceId}`)).json<{ access: string }>().access
  await opensOnlyTheSetUp(t, ada)
})

t.test('staff: staff alone are asked', async (t) => {
  const fresh = await freshApp(t, { OTP_POLICY: 'staff', OTP_GRACE_DAYS: '0' })
  const grace = await signUp(fresh.app, 'grace')
  await fresh.db.query('update account set is_staff = true')
  const ada = await signUp(fresh.app)
  await ada.login()
  t.equal((await ada.request('GET', '/account')).statusCode, 200)
  await grace.login()
  await opensOnlyTheSetUp(t, grace)
  await grace.enrol()
  t.equal((await grace.request('GET', '/account')).statusCode, 200)
})

/** Policies; true if one asks a user, and a staff member. */
const asked = [['optional', false, false], ['staff', false, true], ['required', true, true]] as const

for (const [policy, ofUser, ofStaff] of asked) {
  t.test(`${policy}: the deadline after a log-in, and after the second factor is switched off`, async (t) => {
    const { app, db } = await freshApp(t, { OTP_POLICY: policy, OTP_GRACE_DAYS: '7' })
    for (const [name, isDue] of [['ada', ofUser], ['grace', ofStaff], ['bob', ofUser]] as const) {
      const person = await signUp(app, name)
      if (name === 'grace') await db.query('update account set is_staff = true where username = $1', [name])
      t.equal(expect(200, await person.login()).json().otpDeadline !== null, isDue, `${name} logs in`)
      await person.enrol()
      person.access = expect(200, await person.request('DELETE', '/totp/delete')).json<{ access: string }>().access
      t.equal(expect(200, await person.request('GET', '/totp/status')).json().otpDeadline !== null, isDue, `${name} switches off`)
    }
  })
}
