// The same as test/regressions/the-same-request-twice-looks-like-an-end.test.ts, in an app with other sessions and another
// error handler: test/helpers/host-app.ts.
import '../helpers/attached.js'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp } from '../helpers/person.js'
import { withPhones } from '../helpers/phones.js'

await need('postgres')
const { app, another } = await freshApp(t)
const replica = await another()

t.test('a code that comes twice is refused as used, a removal as of nothing, and no other request passes', async (t) => {
  const owner = await (await signUp(app, 'ada')).enrol()
  const [person] = await sessionsOf(owner, 1)
  const twin = person!.at(replica)
  const token = await person!.nextCode()
  const answers = await Promise.all([person!, twin].map((one) => one.request('POST', '/totp/login', { token })))
  t.same(answers.map(outcome).sort(), ['200', '400 OTP_INVALID'])
  t.equal(outcome(await twin.request('POST', '/totp/login', { token })), '400 OTP_INVALID')
  t.equal(outcome(await twin.request('POST', '/totp/recovery_code/login', { token: owner.recoveryCodes[0]! })), '401 SESSION_ENDED')

  const { person: bea, phones } = await withPhones(app, 'bea', 2)
  const removals = await Promise.all([1, 2].map(() => bea.request('DELETE', `/totp/devices/${phones[0]!.id}`)))
  t.same(removals.map(outcome).sort(), ['200', '404 NOT_FOUND'])
  t.equal(outcome(await bea.request('DELETE', `/totp/devices/${phones[1]!.id}`)), '401 SESSION_ENDED', 'the other device is there')

  const cas = await (await signUp(app, 'cas')).enrol()
  const removed = await Promise.all([1, 2].map(() => cas.request('DELETE', '/totp/delete')))
  t.same(removed.map(outcome).sort(), ['200', '400 OTP_NOT_SET_UP'])
  expect(401, await cas.request('GET', '/totp/status'))
})
