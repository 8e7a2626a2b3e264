/** Asks for refusals by way of a proxy that validates. A request may be wrong on purpose; an answer may not. */
import { codeOf } from './totp.js'

interface Asked { body?: object, token?: string | undefined }
interface Answer { code?: string, access?: string, otpUrl?: string }

const [,, proxy = ''] = process.argv
const seen = new Set<string>()

async function call (method: string, path: string, { body, token }: Asked = {}): Promise<Answer> {
  const answer = await fetch(proxy + path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const violations = JSON.parse(answer.headers.get('sl-violations') ?? '[]') as Array<{ location: string[] }>
  const ours = violations.filter(({ location }) => location[0] !== 'request')
  if (ours.length > 0) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(ours, null, 2)}`)
  const text = await answer.text()
  const json = (text === '' ? {} : JSON.parse(text)) as Answer
  if (json.code !== undefined) seen.add(json.code)
  return json
}

const ada = { username: 'ada', password: 'correct horse battery staple' }
const person = { ...ada, email: 'ada@example.org' }
await call('POST', '/users', { body: person })
await call('POST', '/users', { body: person })
await call('POST', '/users', { body: { ...person, username: 'bea', password: 'password' } })
await call('POST', '/token', { body: { ...ada, password: 'wrong horse battery' } })
await call('POST', '/token', { body: { username: 'ada' } })
const { access: plain } = await call('POST', '/token', { body: ada })

const reads = [
  '/account', '/session', '/totp/status', '/totp/devices', '/account/sessions', '/account/security-events', '/session?required'
]
for (const path of reads) {
  await call('GET', path, { token: plain })
  await call('GET', path)
}
await call('POST', '/totp/login', { token: plain, body: { token: '123456' } })
const { otpUrl = '' } = await call('POST', '/totp/create', { token: plain })
const { access: token } = await call('POST', '/totp/login', { token: plain, body: { token: codeOf(otpUrl, 0) } })
for (const path of reads) await call('GET', path, { token })
await call('GET', '/account', { token: plain })
await call('GET', '/admin/users', { token })

const other = '7c9e6679-7425-40de-944b-e07fc1f90ae7'
await call('DELETE', `/account/sessions/${other}`, { token })
await call('PATCH', `/totp/devices/${other}`, { token, body: { name: 'phone' } })
await call('POST', '/account/password', { token, body: { password: 'wrong horse battery', newPassword: 'another horse battery' } })
await call('POST', '/token/refresh', { body: { refresh: 'none' } })

const { access: pending } = await call('POST', '/token', { body: ada })
await call('GET', '/session', { token: pending })
await call('POST', '/totp/recovery_code/login', { token: pending, body: { token: 'wrong' } })
for (let i = 0; i < 8; i++) await call('POST', '/totp/login', { token: pending, body: { token: `00000${i}` } })
for (let i = 0; i < 12; i++) await call('POST', '/users', { body: { ...person, username: `user${i}` } })
for (const path of ['/livez', '/readyz', '/.well-known/jwks.json']) await call('GET', path)

const expected = [
  'USERNAME_TAKEN', 'PASSWORD_UNACCEPTABLE', 'CREDENTIALS_INVALID', 'REQUEST_INVALID', 'TOKEN_INVALID', 'SESSION_ENDED', 'OTP_REQUIRED',
  'STAFF_REQUIRED', 'OTP_NOT_SET_UP', 'OTP_INVALID', 'OTP_LOCKED', 'RECOVERY_CODE_INVALID', 'NOT_FOUND', 'RATE_LIMITED'
]
const missing = expected.filter((code) => !seen.has(code))
console.log([...seen].sort().join(', '))
if (missing.length > 0) throw new Error(`not seen: ${missing.join(', ')}`)
