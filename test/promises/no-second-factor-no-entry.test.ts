import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { operationsOf, type Operation } from '../helpers/operations.js'
import { expect, signUp } from '../helpers/person.js'
import { serviceTest } from '../helpers/service-test.js'

/** Who needs no token at all. A new operation without `security` fails here, until somebody writes it down. */
const PUBLIC = ['jwks', 'live', 'logIn', 'metrics', 'ready', 'refresh', 'signUp']
/** What a session may ask before it has given its code: to set up, to prove, to leave. Anything else is behind `otpVerified`. */
const BEFORE_THE_CODE = ['logOut', 'recover', 'rollBackTotp', 'totpStatus', 'verifyTotp']
/** Asks no guard but itself: a password for the first device, a fresh code for a further one. */
const GUARDED_BY_ITSELF = ['createTotp', 'createTotpByGet']

const { app, db } = await freshApp(t)
const { isHost } = doorOf(app)
const operations = operationsOf(app)
const guarded = operations.filter(({ isGuarded }) => isGuarded)

const owner = await signUp(app, 'owner')
await owner.enrol()
const gone = owner.elsewhere()
expect(200, await gone.login())
expect(201, await owner.request('POST', '/totp/recovery_code/create'))   // ends the others
const intruder = owner.elsewhere()
expect(200, await intruder.login())

const ask = async ({ method, body }: Pick<Operation, 'method' | 'body'>, url: string, token: string | null) =>
  await owner.request(method, url, body, token)
const facts = async () => JSON.stringify([
  await db.query('select user_id, version from otp_user order by 1'),
  await db.query('select id, confirmed_at, name from otp_device order by 1'),
  await db.query('select digest, used_at from otp_recovery_code order by 1'),
  await db.query('select id, username, email from account order by 1'),
  await db.query('select id, ended_at from otp_session order by 1')
])

// Whom a host lets in without asking is the host's to say.
serviceTest('T9 only what is known to be public asks for no token', async (t) => {
  t.same(operations.filter(({ isGuarded }) => !isGuarded).map(({ id }) => id).sort(), PUBLIC)
  for (const id of [...BEFORE_THE_CODE, ...GUARDED_BY_ITSELF]) {
    t.ok(
      guarded.some((operation) => operation.id === id), `${id} exists and is guarded`
    )
  }
})

t.test('T9 J8 without a living access token nothing opens, however it is spelt', async (t) => {
  const before = await facts()
  const tokens: Array<readonly [string, string | null, string]> = [
    ['no token', null, 'TOKEN_INVALID'],
    ['garbage', 'garbage', 'TOKEN_INVALID'],
    ...(isHost ? [] : forgeries()),
    ['an ended session', gone.access, 'SESSION_ENDED']
  ]
  for (const operation of guarded) {
    for (const [what, token, code] of tokens) {
      for (const url of spellings(operation.url)) {
        const answer = await ask(operation, url, token)
        t.equal(answer.statusCode, 401, `${operation.id} ${url}: ${what}`)
        t.equal(answer.json().code, code, `${operation.id} ${url}: ${what}`)
        t.match(answer.headers['www-authenticate'], /^Bearer/)
      }
    }
    if (isHost) continue
    const inQuery = await ask(operation, `${operation.url}?access_token=${owner.access}`, null)
    t.equal(inQuery.statusCode, 400, `${operation.id}: a token in the query`)
  }
  t.equal(await facts(), before, 'nothing changed')
})

t.test('T9 a session that owes its code opens nothing behind otpVerified', async (t) => {
  const before = await facts()
  for (const operation of guarded.filter(({ id }) => !BEFORE_THE_CODE.includes(id))) {
    for (const url of spellings(operation.url)) {
      const answer = await ask(operation, url, intruder.access)
      t.equal(answer.statusCode, 403, `${operation.id} ${url}`)
      t.equal(answer.json().code, 'OTP_REQUIRED', `${operation.id} ${url}`)
      t.match(answer.headers['www-authenticate'], /insufficient_user_authentication/)
    }
  }
  t.equal(await facts(), before, 'nothing changed')
})

t.test('T9 L3 HEAD is the GET with its guard, or is not there', async (t) => {
  const before = await facts()
  for (const { id, url, isGuarded, object } of operations) {
    for (const token of [null, 'garbage', owner.refresh, gone.access, intruder.access]) {
      const { statusCode, body } = await owner.request('HEAD', url, undefined, token)
      t.equal(body, '')
      if (isGuarded && !BEFORE_THE_CODE.includes(id)) t.ok([401, 403, 404].includes(statusCode), `HEAD ${url}: ${statusCode}`)
    }
    if (object.deprecated) t.equal((await owner.request('HEAD', url)).statusCode, 404, `HEAD ${url} must change nothing`)
  }
  for (const url of ['/totp/create', '/totp/recovery_code/create', '/totp/create/', '/totp/%63reate']) {
    t.equal((await owner.request('HEAD', url)).statusCode, 404, `HEAD ${url}`)
  }
  t.equal(await facts(), before, 'nothing changed')
})

serviceTest('T9 the old GETs of what changes something are as closed as their twins', async (t) => {
  const deprecated = operations.filter(({ object }) => object.deprecated)
  t.same(deprecated.map(({ id }) => id).sort(), ['createRecoveryCodesByGet', 'createTotpByGet'])
  for (const { method } of operations.filter(({ id }) => id.startsWith('create') && !id.endsWith('ByGet'))) t.equal(method, 'POST')
})

serviceTest('T9 refreshing never verifies', async (t) => {
  const stranger = owner.elsewhere()
  expect(200, await stranger.login())
  for (let i = 0; i < 3; i++) {
    expect(200, await stranger.refreshTokens())
    t.equal(stranger.claims().otp_device_id, null)
    t.equal(stranger.claims().otp_required, true)
    t.equal(stranger.claims(stranger.refresh).otp_device_id, null)
    t.equal((await stranger.request('GET', '/account')).statusCode, 403)
    t.equal((await stranger.request('GET', '/session')).statusCode, 403)
  }
})

t.test('T9 whoever is verified passes the same walk, so that it shows something', async (t) => {
  for (const id of isHost ? ['session', 'totpStatus'] : ['readAccount', 'session', 'totpStatus']) {
    const operation = guarded.find((one) => one.id === id)!
    for (const url of spellings(operation.url)) t.equal((await ask(operation, url, owner.access)).statusCode, 200, `${id} ${url}`)
  }
})

/** What is signed, but not for this. */
function forgeries (): Array<readonly [string, string | null, string]> {
  const [head = '', payload = '', signature = ''] = owner.access!.split('.')
  const swapped = Buffer.from(JSON.stringify({ ...owner.claims(intruder.access), otp_device_id: owner.deviceId })).toString('base64url')
  return [
    ['a forged payload', `${head}.${swapped}.${signature}`, 'TOKEN_INVALID'],
    ['no signature', `${head}.${payload}.`, 'TOKEN_INVALID'],
    ['a refresh token', owner.refresh, 'TOKEN_INVALID']
  ]
}

/** The same route, as the router reads it. */
function spellings (url: string): string[] {
  const at = url.lastIndexOf('/') + 1
  const encoded = `${url.slice(0, at)}%${url.charCodeAt(at).toString(16)}${url.slice(at + 1)}`
  // Of /session itself a parameter that is no demand is refused with 400.
  return [url, `${url}/`, encoded, ...(url === '/session' ? [] : [`${url}?x=1`])]
}
