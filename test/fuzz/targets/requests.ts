import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { freshApp } from '../../helpers/app.js'
import { cheapHasher } from '../../helpers/cheap-hasher.js'
import { faultsOfRefusal } from '../../helpers/error-shape.js'
import { expect } from '../../helpers/person.js'
import { idOf, staffAt } from '../../helpers/staff.js'
import { createOwner } from '../../helpers/teardown.js'
import { rule, textOf, type Target } from '../target.js'

const owner = createOwner()
const fresh = await freshApp(owner, { TRUSTED_PROXIES: '127.0.0.1' }, { hasher: cheapHasher })
const { app } = fresh
const staff = await staffAt(fresh, 'staff')
const ADA = idOf(staff)

const TOKEN = 'x0Rk0zJq2o3YbQm8o1mQ3r9tV5wX7yZ0aB2cD4eF6gH'
const cursor = (text: string) => Buffer.from(text).toString('base64url')
/** Operations that take links, codes, cursors and names from strangers and from a session. None of them ends the session. */
const operations: Record<string, readonly [method: 'GET' | 'POST', url: string]> = {
  confirmEmail: ['POST', '/account/email/confirm'],
  undoEmail: ['POST', '/account/email/undo'],
  resetPassword: ['POST', '/password/reset'],
  forgotPassword: ['POST', '/password/forgot'],
  logIn: ['POST', '/token'],
  refresh: ['POST', '/token/refresh'],
  verify: ['POST', '/totp/login'],
  recover: ['POST', '/totp/recovery_code/login'],
  passkey: ['POST', '/totp/passkeys/login'],
  session: ['GET', '/session'],
  events: ['GET', '/account/security-events'],
  users: ['GET', '/admin/users'],
  user: ['GET', '/admin/users/'],
  revocations: ['GET', '/revocations']
}
const words = [
  '{"token":"', `{"token":"${TOKEN}"}`, `{"token":"${TOKEN}","next":"a stapler, a horse"}`, '{"username":"', '","password":"', '"}',
  '{"refresh":"',
  '{"response":{', '{"__proto__":', '"setupCode":"', '\\u0000', '\\ud800', '\\uD800\\uDC00', '{', '}', '[', ']', ',', ':', '"', 'null',
  '1e400', 'ada',
  'staff', '?cursor=', '&cursor=', '?limit=', '?q=', '?query=', '?after=', '&', '=', '%', '%00', '%2e', '%ff', '%F0%9F%98%80', '..', '//',
  '#', ADA,
  cursor(`1700000000000000.${ADA}`), cursor(`9999999999999999.${ADA}`), cursor('ada'), cursor('\0'), `${'A'.repeat(16)}.1`,
  `${'A'.repeat(16)}.99999999999999999999`, '0', '-1', '1.5', 'Bearer ', 'bearer  x',
  'Basic eA==', 'eyJhbGciOiJub25lIn0.e30.', 'de', 'pt-BR;q=0.9', '*;q=0', ';q=', 'q=1e9', '203.0.113.7', '::ffff:1.2.3.4', '[::1]:80', ', ',
  'unknown', '\u00e9', ' ', '\t'
]
const text = fc.string({ unit: fc.constantFrom(...words), maxLength: 5 })

/** Requests to the service with its stores. An answer is a success or a refusal in the one shape, never a fault of the server. */
export const target: Target = {
  files: [
    'src/events/log.js', 'src/staff/users.js', 'routes/users/language.js', 'routes/mail/index.js', 'plugins/errors.js',
    'plugins/field-fault.js', 'plugins/json-only.js', 'plugins/policy.js', 'routes/revocations/index.js', 'src/accounts/log-in.js',
    'routes/token/index.js'
  ],
  words,
  // A request through Fastify, its validators and the driver, and statements that are planned at the first use.
  mostMs: 100,
  arbitrary: fc.record({
    operation: fc.constantFrom(...Object.keys(operations)),
    path: text,
    body: text,
    language: text,
    forwarded: text,
    authorization: fc.oneof(fc.constant('ours'), text)
  }),
  async check (input) {
    const name = textOf(input, 'operation')
    const [method, url] = operations[Object.hasOwn(operations, name) ? name : 'session']!
    const given = textOf(input, 'authorization')
    const headers = {
      authorization: given === 'ours' ? `Bearer ${staff.access}` : given,
      'accept-language': textOf(input, 'language'),
      'x-forwarded-for': textOf(input, 'forwarded')
    }
    // Node refuses other characters before the service sees them.
    if (Object.values(headers).some((value) => /[^\t\x20-\x7e\x80-\xff]/.test(value))) return
    const path = url + textOf(input, 'path').replaceAll(/\p{Surrogate}/gu, '\uFFFD').replaceAll(/[^!-~]/gu, encodeURIComponent)
    const body = { 'content-type': 'application/json' }
    if (method === 'GET') await checkAnswer({ method, url: path, headers })
    else await checkAnswer({ method, url: path, headers: { ...headers, ...body }, payload: textOf(input, 'body') })
  },
  close: () => owner.end()
}

async function checkAnswer (request: InjectOptions): Promise<void> {
  const answer = await app.inject(request)
  const { statusCode } = answer
  rule(statusCode < 500, `an answer is ${statusCode}`)
  rule(statusCode < 400 || faultsOfRefusal(answer).length === 0, 'a refusal has another shape')
  // The clock of the database stands for others too: a token is renewed when it is late.
  if (statusCode === 401 && JSON.stringify(request.headers).includes(staff.access!)) expect(200, await staff.refreshTokens())
}
