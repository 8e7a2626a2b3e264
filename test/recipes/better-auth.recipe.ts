/** better-auth as the log-in beside Countersign: the whole flow, and its own operations behind the guard. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { freePort } from '../helpers/free-port.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { visitorAt, type Visitor } from '../hosts/visitor.js'
import { wholeFlow } from '../hosts/whole-flow.js'
import { installRecipe } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const password = 'correct horse battery staple'
const installed = await installRecipe(t, 'better-auth', ['fastify@5.12.8', 'pg@8.23.1', 'better-auth@1.7.25'])
const { base } = await installed.start({
  SEAL_KEYS: freshKeys()['SEAL_KEYS']!, AUTH_SECRET: randomBytes(32).toString('hex'), PORT: String(await freePort())
})

const enter = async (name: string, path: string) => {
  const visitor = visitorAt([base], { origin: base })
  const { status, text } = await visitor.ask('POST', `/api/auth/${path}`, { name, email: `${name}@example.org`, password })
  if (status !== 200) throw new Error(`${path}: ${text}`)
  return visitor
}
const logIn = async (name: string) => await enter(name, 'sign-in/email')
for (const name of ['ada', 'bob']) await enter(name, 'sign-up/email')

const change = async (visitor: Visitor, path: string) =>
  await visitor.ask('POST', path, { currentPassword: password, newPassword: `${password} 2` })

t.test('its own operations ask for a fresh proof, by any spelling of the path', async (t) => {
  const owner = await logIn('bob')
  const { json: { otpUrl } } = await owner.ask('POST', '/totp/create')
  const code = totp(secretOf(otpUrl), stepAt(await installed.clock.now()))
  t.equal((await owner.ask('POST', '/totp/login', { token: code })).status, 200)

  const thief = await logIn('bob')
  t.match(await thief.ask('GET', '/api/auth/get-session'), { status: 200, json: { user: { email: 'bob@example.org' } } })
  const path = '/api/auth/change-password'
  t.match(await change(thief, path), { status: 403, json: { code: 'OTP_REQUIRED' } })
  t.match(await thief.ask('GET', '/api/auth/list-sessions'), { status: 403, json: { code: 'OTP_REQUIRED' } })
  for (const other of [
    '//api/auth/change-password', '/api/auth//change-password', '/api/auth/change-password/', '/api/auth/%63hange-password',
    '/api/auth/sign-in/../change-password', '/api/auth/sign-in/email/%2e%2e/%2e%2e/change-password', '/api/auth/Change-Password',
    '/api/auth/get-session?x=/../change-password', '/api/auth/get-session/../change-password', '/api/auth/change-password?sign-in/email'
  ]) t.ok((await change(thief, other)).status >= 400, other)
  t.equal((await change(owner, path)).status, 200)
  await t.rejects(logIn('bob'), 'the password was changed, by the owner alone')
})

t.test('the whole flow', async (t) => {
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/totp',
    guarded: [
      { method: 'GET', path: '/invoices', demand: 'plain' },
      { method: 'DELETE', path: '/invoices', demand: 'fresh' },
      { method: 'GET', path: '/payroll', demand: 'required' }
    ],
    logIn,
    codeOf: ({ json }) => json.code
  })
})
