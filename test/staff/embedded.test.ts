import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { expect, signUp } from '../helpers/person.js'
import { opensOnlyTheSetUp } from '../helpers/set-up.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { receiver } from '../helpers/receiver.js'
import { until } from '../helpers/wait.js'

t.test('policy, staff and events out, on the embedded database', async (t) => {
  const hook = await receiver(t)
  const fresh = await freshApp(t, {
    DATABASE_URL: '',
    OTP_POLICY: 'required',
    OTP_GRACE_DAYS: '1',
    WEBHOOK_URL: hook.url,
    WEBHOOK_PRIVATE: '127.0.0.1',
    WEBHOOK_KEYS: `k:${Buffer.from('0123456789abcdefghijklmnopqrstuv').toString('base64url')}`
  })
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  t.type((await ada.login()).json().otpDeadline, 'string')
  await fresh.clock.advance(24 * 3600 + 1)
  await ada.login()
  await opensOnlyTheSetUp(t, ada)
  await grace.login()
  expect(200, await grace.verify())
  t.match((await grace.request('GET', '/admin/users?query=AD')).json(), { users: [{ username: 'ada' }], nextCursor: null })
  const { setupCode } = expect(200, await grace.request('POST', `/admin/users/${idOf(ada)}/reset-otp`, { reason: 'r' })).json()
  t.equal((await ada.login()).json().code, 'SETUP_CODE_REQUIRED')
  t.equal((await ada.request('POST', '/token', { username: 'ada', password: ada.password, setupCode }, null)).statusCode, 200)
  t.equal((await grace.request('POST', `/admin/users/${idOf(ada)}/deactivate`, { reason: 'r' })).statusCode, 204)
  const events = (await fresh.db.query('select id from otp_event')).length
  await until('every event to be sent', () => new Set(hook.received.map(({ headers }) => headers['webhook-id'])).size === events)
})
