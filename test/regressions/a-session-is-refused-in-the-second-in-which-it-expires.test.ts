import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { sessionIdOf } from '../helpers/host-app.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'

/*
 * Times of sessions are whole seconds in the caches. In the last part of a second before a host's session expired, PostgreSQL said that
 * it lived, the replica took it for expired, and answered that it had ended. A client then logs out. It should live on, or begin again.
 */

await need('postgres')
const { app, db, clock, another } = await freshHost(t)

t.test('J7 a session lives until it expires in PostgreSQL, and begins again from then on', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const there = ada.elsewhere(await another())
  there.access = ada.access
  const second = Math.floor((await clock.now()).getTime() / 1000) + 2
  await clock.freeze(new Date(second * 1000 + 200))
  await db.query('update otp_session set expires_at = to_timestamp($2) where id = $1', [sessionIdOf(ada.access!), second + 0.7])
  t.equal(outcome(await there.request('GET', '/session')), '200')
  await clock.freeze(new Date(second * 1000 + 800))
  t.equal(outcome(await there.request('GET', '/session')), '403 OTP_REQUIRED')
})
