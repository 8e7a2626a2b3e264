/** Host with cookies, its own error handler, an Ajv that coerces, a prefix, and two instances on one Redis. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { installHost } from './host.js'
import { visitorAt } from './visitor.js'
import { wholeFlow } from './whole-flow.js'

await need('postgres')
const redisUrl = await need('redis')
t.setTimeout(600_000)

const installed = await installHost(t, 'cookies')
const env = {
  REDIS_URL: redisUrl,
  PREFIX: `test_${randomBytes(6).toString('hex')}:`,
  COOKIE_SECRET: randomBytes(32).toString('hex'),
  SEAL_KEYS: freshKeys()['SEAL_KEYS']!
}
const bases = [(await installed.start(env)).base, (await installed.start(env)).base]

async function logIn (name: string) {
  const visitor = visitorAt(bases)
  const { status } = await visitor.ask('POST', '/login', { email: `${name}@example.org` })
  if (status !== 200) throw new Error(`log-in: ${status}`)
  return visitor
}

t.test('a page of somebody else makes a browser send forms and text with its cookies: nothing comes of it', async (t) => {
  const json = { 'content-type': 'application/json' }
  const answer = await fetch(`${bases[0]}/login`, { method: 'POST', headers: json, body: '{"email":"victim@example.org"}' })
  const cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!
  const types = ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'text/plain; application/json']
  for (const type of types) {
    for (const path of ['/create', '/login', '/recovery_code/login', '/recovery_code/create']) {
      const answer = await fetch(`${bases[0]}/account/2fa${path}`, {
        method: 'POST',
        headers: { cookie, origin: 'https://evil.example', 'content-type': type },
        body: path === '/create' ? '{}' : '{"token":"123456"}'
      })
      t.equal(answer.status, 415, `${path} ${type}`)
    }
  }
  const status = await fetch(`${bases[0]}/account/2fa/status`, { headers: { cookie } })
  t.match(await status.json(), { isOtpEnabled: false, isPending: false })
})

t.test('the whole flow', async (t) => {
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/account/2fa',
    guarded: [
      { method: 'GET', path: '/account', demand: 'plain' },
      { method: 'POST', path: '/account/email', demand: 'fresh' },
      { method: 'GET', path: '/admin', demand: 'required' }
    ],
    logIn,
    codeOf: ({ json }) => json.problem
  })
})
