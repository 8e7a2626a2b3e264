import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId, type Person } from '../helpers/person.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'

/*
 * A guess over the budget, which is not judged, used to end the session, or delete the pending device, while the
 * right code of an earlier request was still being judged: of fifty with one right code, none won.
 */

await need('postgres')
const db = await freshDatabase(t)
const proxy = await tcpProxy(t, targetOf(db.url))
const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url) }, { db })

/** Sends a wrong code after the budget is consumed, while the right code is still being judged. */
async function race (person: Person, useUp: () => Promise<unknown>): Promise<string[]> {
  const [code, wrong] = [await person.nextCode(), await person.wrongCode()]
  const hold = proxy.holdNext((bytes) => bytes.includes('attempt$row'))
  const early = person.verify(code)
  await hold.held
  await useUp()
  const late = await person.verify(wrong)
  hold.release()
  return [outcome(await early), outcome(late)]
}

t.test('T2 T11 step-up', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  t.same(await race(ada, () => db.query('update otp_session set failures = 5 where user_id = $1 and ended_at is null', [userId(ada)])), [
    '200', '400 OTP_INVALID'
  ])
  t.equal(outcome(await ada.request('GET', '/session')), '200')
})

t.test('T2 T7 confirm', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  expect(201, await bob.create())
  t.same(await race(bob, () => db.query('update otp_device set failures = 10 where user_id = $1', [userId(bob)])), [
    '200', '400 OTP_INVALID'
  ])
})
