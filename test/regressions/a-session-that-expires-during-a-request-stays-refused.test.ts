import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { sessionIdOf } from '../helpers/host-app.js'
import { need } from '../helpers/need.js'
import { signUp, type Person } from '../helpers/person.js'

/*
 * A host's session that expires here begins again, unverified. If it expired between the guard and the statement of a request, the
 * replica took it for one that had ended: it refused the session for three minutes, while every other replica let it begin again.
 */

await need('postgres')
const { app, db } = await freshHost(t)

const requests: ReadonlyArray<readonly [name: string, (session: Person) => ReturnType<Person['request']>]> = [
  ['a code', (session) => session.verify()],
  ['a recovery code', (session) => session.recover(session.recoveryCodes[0])],
  ['other recovery codes', (session) => session.request('POST', '/totp/recovery_code/create')],
  ['a further device', (session) => session.request('POST', '/totp/create', { name: 'Second' })],
  ['another name of a device', (session) => session.request('PATCH', `/totp/devices/${session.deviceId}`, { name: 'Another' })],
  ['a removed device', (session) => session.request('DELETE', `/totp/devices/${session.deviceId}`)]
]

for (const [i, [name, ask]] of requests.entries()) {
  t.test(`J7 if the session expires during the request, ${name} is refused, and the next request begins it again`, async (t) => {
    const session = await (await signUp(app, `user${i}`)).enrol()
    t.equal(outcome(await session.request('GET', '/session')), '200', 'it is in the local cache')
    await db.query('update otp_session set expires_at = test_clock.clock_timestamp() where id = $1', [sessionIdOf(session.access!)])
    t.equal(outcome(await ask(session)), '401 SESSION_ENDED')
    t.equal(outcome(await session.request('GET', '/session')), '403 OTP_REQUIRED')
  })
}
