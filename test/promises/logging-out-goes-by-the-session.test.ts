import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { respelled } from '../helpers/jws.js'
import { expect, signUp } from '../helpers/person.js'

const shared = await freshApp(t, { JWT_ALG: 'HS256' })

/** [spelling of the token at log-out, at the request after it] */
const spellings = [['ours', 'ours'], ['ours', 'other'], ['other', 'ours'], ['other', 'other']] as const

for (const JWT_ALG of ['HS256', 'EdDSA']) {
  t.test(`J10 ${JWT_ALG}: the session has ended for every spelling of the token`, async (t) => {
    const { app, db } = JWT_ALG === 'HS256' ? shared : await freshApp(t, { JWT_ALG })
    const ada = await signUp(app)
    for (const [atLogout, after] of spellings) {
      expect(200, await ada.login())
      const spelled = (how: 'ours' | 'other', token: string) => how === 'ours' ? token : respelled(token)
      const { access, refresh } = ada as { access: string, refresh: string }
      t.equal((await ada.request('POST', '/token/revoke', undefined, spelled(atLogout, access))).statusCode, 204)
      t.match((await ada.request('GET', '/session', undefined, spelled(after, access))).json(), { statusCode: 401, code: 'SESSION_ENDED' })
      t.match((await ada.refreshTokens(spelled(after, refresh))).json(), { statusCode: 401, code: 'SESSION_ENDED' })
      t.match((await ada.request('POST', '/token/revoke', undefined, spelled(after, access))).json(), {
        statusCode: 401, code: 'SESSION_ENDED'
      })
    }
    t.same(await db.query('select count(*)::int as n from otp_session where ended_at is null'), [{ n: 0 }])
  })
}

t.test('J10 J6 a refresh token in another spelling is the same one: its second use within the grace gives the same child', async (t) => {
  const { app } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const parent = ada.refresh!
  const child = expect(200, await ada.refreshTokens(parent)).json<{ refresh: string }>()
  t.same(expect(200, await ada.refreshTokens(respelled(parent))).json(), child)
  expect(200, await ada.refreshTokens(child.refresh))
  t.equal((await ada.refreshTokens(respelled(parent))).statusCode, 401, 'and after that it ends the session')
  t.equal((await ada.request('GET', '/session')).statusCode, 401)
})

t.test('J10 logging out ends one session, not the user\'s others, and not another user\'s', async (t) => {
  const { app } = await emptied(shared)
  const ada = await signUp(app)
  const bob = await signUp(app, 'bob')
  const phone = ada.elsewhere()
  for (const person of [ada, phone, bob]) expect(200, await person.login())
  t.equal((await ada.request('POST', '/token/revoke')).statusCode, 204)
  t.equal((await ada.request('GET', '/session')).statusCode, 401)
  for (const person of [phone, bob]) t.equal((await person.request('GET', '/session')).statusCode, 200)
})

t.test('J10 logging out of a session that has ended a moment ago changes nothing', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  t.equal((await ada.request('GET', '/session')).statusCode, 200)
  await db.query("update otp_session set ended_at = clock_timestamp(), end_reason = 'session_ended'")
  await ada.request('POST', '/token/revoke')
  t.same(await db.query('select end_reason from otp_session'), [{ end_reason: 'session_ended' }])
  t.same(await db.query("select from otp_event where kind = 'logged_out'"), [])
})
