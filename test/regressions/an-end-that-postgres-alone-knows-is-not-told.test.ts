import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { expect, signUp, userId, type Person } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * Some flows that found the requester's session ended answered so, but left it alive in the local cache. One flow answered
 * with a conflict.
 */

const { app, db } = await freshApp(t)
const ada = await (await signUp(app, 'ada')).enrol()

type Request = (session: Person) => Promise<Awaited<ReturnType<Person['request']>>>
const requests: ReadonlyArray<readonly [name: string, Request]> = [
  ['a code', async (session) => await session.verify()],
  ['a recovery code', async (session) => await session.recover(ada.recoveryCodes[0])],
  ['a further device', async (session) => await session.request('POST', '/totp/create')],
  ['other recovery codes', async (session) => await session.request('POST', '/totp/recovery_code/create')],
  ['no second factor', async (session) => await session.request('DELETE', '/totp/delete')],
  [
    'another password',
    async (session) =>
      await session.request('POST', '/account/password', { current: session.password, next: 'a stapler, a horse, a battery' })
  ],
  ['a refresh', async (session) => await session.refreshTokens()]
]

for (const [name, ask] of requests) {
  t.test(`J5 if the requester's session has ended, ${name} is refused for that, and this replica lets it in no more`, async (t) => {
    const session = ada.elsewhere()
    expect(200, await session.login())
    expect(200, await session.verify())
    await until('the process to know it', async () => (await session.request('GET', '/session')).statusCode === 200)
    // As another replica does, before this one has read the revocations.
    await db.query("update otp_session set ended_at = clock_timestamp(), end_reason = 'logged_out' where user_id = $1 and id = $2", [
      userId(session), session.claims()['sid']
    ])
    t.equal(outcome(await session.request('GET', '/session')), '200', 'it does not know yet')
    t.equal(outcome(await ask(session)), '401 SESSION_ENDED')
    t.equal(outcome(await session.request('GET', '/session')), '401 SESSION_ENDED')
  })
}
