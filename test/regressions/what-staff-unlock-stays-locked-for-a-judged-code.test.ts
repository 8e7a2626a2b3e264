import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { sessionsOf, signUp } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'

// Redis has the rejected-code cache, which answers a repeated code with the lock. An unlock cleared the lock in the local
// cache, but not in Redis: the same code was 429 for up to 90 s more.

await need('redis')

t.test('T11 after staff have unlocked, a code judged before is wrong, not locked', async (t) => {
  const fresh = await freshApp(t)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app, 'ada')).enrol()
  const [session] = await sessionsOf(ada, 1)
  const wrong = await ada.wrongCodes(5)
  for (const code of wrong) t.equal(outcome(await session!.verify(code)), '400 OTP_INVALID')
  t.equal(outcome(await session!.verify(wrong[0])), '429 OTP_LOCKED')

  t.equal(outcome(await grace.request('POST', `/admin/users/${idOf(ada)}/unlock`)), '204')
  t.equal(outcome(await session!.verify(wrong[0])), '400 OTP_INVALID')
})
