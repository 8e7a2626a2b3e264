/** docs/protocol.md, followed by a back end in Python that was written from that page alone (back-end.py). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { createClient, refusalAnswer } from '../../src/client/index.js'
import { CLIENT_KEY, freshApp } from '../helpers/app.js'
import { fakeService } from '../helpers/fake-service.js'
import { freePort } from '../helpers/free-port.js'
import { call, type Answered } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { addressOf } from '../helpers/revocations.js'
import { until } from '../helpers/wait.js'

const python = await need('python3-cryptography')

/** Starts the back end, and waits until it listens. */
async function backEnd (t: Test, url: string, key: string): Promise<string> {
  const port = await freePort()
  const child = spawn(python, ['test/client/back-end.py', url, key, String(port)], { stdio: 'ignore' })
  const exited = once(child, 'close')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  const at = `http://127.0.0.1:${port}`
  await until('Python to follow', async () => {
    const answer = await call(at, 'GET', '/').catch(() => undefined)
    return answer !== undefined && answer.status !== 503
  })
  return at
}

const codeOf = ({ status, json }: Answered): string => status === 200 ? 'accepted' : json().code

t.test('accepted, ended elsewhere and refused within a second, and refused while the service is away', async (t) => {
  const { app } = await freshApp(t, { JWT_ALG: 'EdDSA' })
  const at = await backEnd(t, await addressOf(app), CLIENT_KEY)
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const other = ada.elsewhere()
  expect(200, await other.login())
  const ask = (access: string | null) => call(at, 'GET', '/', { access })
  /** On a busy machine, it may hear nothing for a second. */
  const judged = (access: string | null) => until('a judgement', async () => {
    const answer = await ask(access)
    return answer.status === 503 ? undefined : answer
  })
  t.match((await judged(ada.access)).json(), { user: ada.claims()['sub'] })
  t.equal(codeOf(await judged(null)), 'TOKEN_INVALID')
  t.equal(codeOf(await judged(ada.refresh)), 'TOKEN_INVALID')
  expect(204, await ada.request('POST', '/token/revoke'))
  const endedAtMs = performance.now()
  let lastMs = 0
  await until('the end', async () => {
    const beganAtMs = performance.now()
    const found = codeOf(await ask(ada.access))
    if (found === 'accepted') lastMs = beganAtMs - endedAtMs
    return found === 'SESSION_ENDED'
  })
  t.ok(lastMs <= 1_000, `${lastMs}`)
  t.equal(codeOf(await judged(other.access)), 'accepted')
  await app.close()
  await until('staleness', async () => codeOf(await ask(other.access)) === 'UNAVAILABLE')
})

t.test('it decides as countersign/client does', async (t) => {
  const fake = await fakeService(t)
  fake.ended.push('ended')
  fake.aheadSeconds = 3_600
  const client = createClient({ url: fake.url, key: fake.key, onStale: 'refuse' })
  t.teardown(() => client.close())
  await client.ready()
  const at = await backEnd(t, fake.url, fake.key)
  const now = Math.floor(Date.now() / 1000) + 3_600
  const verified = { otp_required: true, otp_device_id: 'd', otp_time: now - 100 }
  const tokens = [
    'nonsense',
    fake.token().replace(/\.[^.]*$/, `.${'A'.repeat(86)}`),
    ...[{ alg: 'none' }, { typ: 'rt+jwt' }, { crit: [] }, { kid: 'x' }].map((header) => fake.token({}, header)),
    ...[
      { iss: 'other' }, { aud: ['countersign'] }, { exp: now - 1 }, { iat: now + 90 }, { iat: now - 400 }, { amr: 'pwd' }, { sid: '' },
      { otp_device_id: undefined }, { auth_time: 1.5 }, { sid: 'ended' }, {}, { auth_time: now - 100 }, { otp_required: true }, verified,
      { ...verified, phr_time: now }
    ].map((claims) => fake.token(claims))
  ]
  const seen = new Set<string>()
  for (const [path, demand] of [
    ['/', {}], ['/required', { required: true }], ['/passkey', { phishingResistant: true }], ['/60', { maxAge: 60 }]
  ] as const) {
    for (const [i, access] of tokens.entries()) {
      const ours = await client.verify(access, demand).then(() => undefined, refusalAnswer)
      const theirs = await call(at, 'GET', path, { access })
      const code = codeOf(theirs)
      seen.add(code)
      t.equal(code, (ours?.body as { code?: string } | undefined)?.code ?? 'accepted', `${path} ${i}`)
      t.same([theirs.status, theirs.headers.get('www-authenticate')], [ours?.status ?? 200, ours?.headers['www-authenticate'] ?? null])
    }
  }
  t.same([...seen].sort(), ['OTP_REQUIRED', 'OTP_STALE', 'PHISHING_RESISTANT_REQUIRED', 'SESSION_ENDED', 'TOKEN_INVALID', 'accepted'])
})
