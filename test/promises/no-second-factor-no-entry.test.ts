import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { operationsOf, type Operation } from '../helpers/operations.js'
import { expect, signUp } from '../helpers/person.js'
import { serviceTest } from '../helpers/service-test.js'

/** Operations that need no token. A new operation without `security` fails here until it is listed. */
const PUBLIC = [
  'checkLiveness', 'checkReadiness', 'confirmEmail',
  'followRevocations',   // for services, by a key
  'getJwks', 'getMetrics', 'logIn', 'refreshTokens', 'requestPasswordReset',
  'resetPassword', 'signUp', 'undoEmailChange'
]
/** Operations for a session before its code: set up, verify, log out. All others are behind `otpVerified`. */
const BEFORE_THE_CODE = [
  'getTotpStatus', 'logOut', 'rollBackTotp', 'useRecoveryCode', 'verifyTotp', 'challengePasskey', 'confirmPasskey', 'verifyPasskey'
]
/** Operations that check the proof themselves: a password for the first device, a fresh code for a further one. */
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

// Only the service: a host decides about its own public routes.
serviceTest('T9 only listed public operations need no token', async (t) => {
  t.same(operations.filter(({ isGuarded }) => !isGuarded).map(({ id }) => id).sort(), PUBLIC)
  for (const id of [...BEFORE_THE_CODE, ...GUARDED_BY_ITSELF]) {
    t.ok(
      guarded.some((operation) => operation.id === id), `${id} exists and is guarded`
    )
  }
})

t.test('T9 J8 without a valid access token every guarded operation answers 401, in any spelling of the path', async (t) => {
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

t.test('T9 a session that has not given its code is refused by otpVerified', async (t) => {
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

t.test('T9 L3 HEAD has the guard of GET, or does not exist', async (t) => {
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

serviceTest('T9 the deprecated GETs that change something are guarded like their POSTs', async (t) => {
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

t.test('T9 a verified session passes the same requests, so that the refusals show something', async (t) => {
  for (const id of isHost ? ['session', 'getTotpStatus'] : ['checkSession', 'getAccount', 'getTotpStatus']) {
    const operation = guarded.find((one) => one.id === id)!
    for (const url of spellings(operation.url)) t.equal((await ask(operation, url, owner.access)).statusCode, 200, `${id} ${url}`)
  }
})

/** Returns tokens that are signed wrongly, or for another use. */
function forgeries (): Array<readonly [string, string | null, string]> {
  const [head = '', payload = '', signature = ''] = owner.access!.split('.')
  const swapped = Buffer.from(JSON.stringify({ ...owner.claims(intruder.access), otp_device_id: owner.deviceId })).toString('base64url')
  return [
    ['a forged payload', `${head}.${swapped}.${signature}`, 'TOKEN_INVALID'],
    ['no signature', `${head}.${payload}.`, 'TOKEN_INVALID'],
    ['a refresh token', owner.refresh, 'TOKEN_INVALID']
  ]
}

/** Returns other spellings of a path that the router reads as the same route. */
function spellings (url: string): string[] {
  const at = url.lastIndexOf('/') + 1
  const encoded = `${url.slice(0, at)}%${url.charCodeAt(at).toString(16)}${url.slice(at + 1)}`
  // /session refuses an unknown parameter with 400.
  return [url, `${url}/`, encoded, ...(url === '/session' ? [] : [`${url}?x=1`])]
}
