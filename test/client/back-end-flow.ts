import type { Test } from 'tap'
import type { App } from '../helpers/app.js'
import { call } from '../helpers/http-client.js'
import { expect, signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/**
 * Flow at a back end that has `GET /invoices`, guarded, and `DELETE /invoices` with `{ required: true, maxAge: 300 }`: accepted,
 * refused with our answer, ended elsewhere, and the service away. It closes the service.
 *
 * @param refusing address of the back end with `onStale: 'refuse'`
 * @param asking address of the back end with `onStale: 'ask'`
 */
export async function backEndFlow (t: Test, app: App, refusing: string, asking: string): Promise<void> {
  const ada = await (await signUp(app, 'ada')).enrol()
  const unverified = ada.elsewhere()
  expect(200, await unverified.login())
  const optional = await signUp(app, 'optional')
  expect(200, await optional.login())

  for (const at of [refusing, asking]) {
    const accepted = await call(at, 'GET', '/invoices', { access: ada.access })
    t.same([accepted.status, accepted.json()], [200, { invoicesOf: ada.claims()['sub'] }])
    t.equal((await call(at, 'DELETE', '/invoices', { access: ada.access })).status, 204)
    for (const [method, access, status, code] of [
      ['GET', null, 401, 'TOKEN_INVALID'], ['GET', 'nonsense', 401, 'TOKEN_INVALID'], ['GET', ada.refresh, 401, 'TOKEN_INVALID'],
      ['GET', unverified.access, 403, 'OTP_REQUIRED'], ['DELETE', optional.access, 403, 'OTP_REQUIRED']
    ] as const) {
      const answer = await call(at, method, '/invoices', { access })
      t.match(answer.json(), { statusCode: status, code, error: String, message: String }, code)
      t.match([answer.status, answer.headers.get('x-refusal'), answer.headers.get('cache-control')], [status, code, 'no-store'])
      t.match(answer.headers.get('content-type'), /^application\/json/)
      const challenge = status === 401 ? 'Bearer error="invalid_token"' : /^Bearer error="insufficient_user_authentication"/
      t.match(answer.headers.get('www-authenticate'), challenge)
    }
  }

  expect(204, await optional.request('POST', '/token/revoke'))
  const endedAtMs = performance.now()
  const lastMs = { refusing: 0, asking: 0 }
  for (const [which, at] of [['refusing', refusing], ['asking', asking]] as const) {
    await until('the end', async () => {
      const beganAtMs = performance.now()
      const { status } = await call(at, 'GET', '/invoices', { access: optional.access })
      if (status === 200) lastMs[which] = beganAtMs - endedAtMs
      return status === 401
    })
  }
  t.ok(lastMs.refusing <= 1_000 && lastMs.asking <= 1_000, JSON.stringify(lastMs))

  // While the service ends, it still answers for some seconds, followers too.
  const closed = app.close()
  const statusAt = async (at: string) => (await call(at, 'GET', '/invoices', { access: ada.access })).status
  for (const at of [refusing, asking]) await until('the back end to accept', async () => await statusAt(at) === 200)
  await closed
  for (const at of [refusing, asking]) {
    await until('staleness', async () => await statusAt(at) === 503)
    const answer = await call(at, 'GET', '/invoices', { access: ada.access })
    t.match([answer.status, answer.json(), answer.headers.get('retry-after')], [503, { code: 'UNAVAILABLE' }, '1'])
  }
}
