import t from 'tap'
import { bodyOf, outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { expect, signUp } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'

const { app, db } = await freshApp(t)

const kindsOf = async (userId: string) =>
  (await db.query<{ kind: string }>('select kind from otp_event where user_id = $1 order by at, id', [userId])).map(({ kind }) => kind)

t.test('E5 a right password of a deactivated account has its own event; the client gets the same answer', async (t) => {
  const grace = await staffAt({ app, db })
  const ada = await signUp(app)
  expect(200, await ada.login())
  const id = idOf(ada)
  const before = (await kindsOf(id)).length
  expect(204, await grace.request('POST', `/admin/users/${id}/deactivate`, { reason: 'r' }))
  const [right, wrong] = [await ada.login(), await ada.login('not the password')]
  t.equal(outcome(right), '401 CREDENTIALS_INVALID')
  t.equal(bodyOf(right), bodyOf(wrong))
  t.same((await kindsOf(id)).slice(before), ['deactivated', 'login_deactivated', 'login_failed'])
  const { events } = expect(200, await grace.request('GET', `/admin/users/${id}/events?limit=2`)).json<{ events: object[] }>()
  t.match(events[1], { kind: 'login_deactivated', ip: '127.0.0.1', agent: 'lightMyRequest', sessionId: null, actorId: null })
  const spent = await db.query("select spent from password_budget where network not in ('*', 'known') and spent > 0")
  t.same(spent, [{ spent: 2 }], 'P4 both are spent guesses')
})

t.test('a reset second factor and a deactivated account: the same, and the set-up code stays good', async (t) => {
  const grace = await staffAt({ app, db }, 'alan')
  const ada = await signUp(app, 'zoe')
  expect(200, await ada.login())
  const id = idOf(ada)
  const reset = await grace.request('POST', `/admin/users/${id}/reset-otp`, { reason: 'r' })
  const { setupCode } = expect(200, reset).json<{ setupCode: string }>()
  expect(204, await grace.request('POST', `/admin/users/${id}/deactivate`, { reason: 'r' }))
  const login = () => ada.request('POST', '/token', { username: 'zoe', password: ada.password, setupCode }, null)
  t.equal(outcome(await login()), '401 CREDENTIALS_INVALID')
  t.equal((await kindsOf(id)).at(-1), 'login_deactivated')
  expect(204, await grace.request('POST', `/admin/users/${id}/reactivate`, {}))
  t.equal(outcome(await login()), '200')
})
