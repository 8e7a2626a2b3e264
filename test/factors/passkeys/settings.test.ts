import Fastify from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../../plugins/countersign.js'
import { outcome } from '../../helpers/answers.js'
import { freshApp, PASSKEY_ORIGIN } from '../../helpers/app.js'
import { freshDatabase, openPool } from '../../helpers/database.js'
import { need } from '../../helpers/need.js'
import { addPasskey, newPasskey, use } from '../../helpers/passkeys.js'
import { expect, signUp } from '../../helpers/person.js'
import { idOf, staffAt } from '../../helpers/staff.js'

await need('postgres')
const fresh = await freshApp(t)
const { app, settings, another } = fresh

t.test('K2 passkeys of an RP id that was changed, or of settings that were removed: the user still owes a factor', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const passkey = await addPasskey(ada)
  const changes = {
    'another RP id': { PASSKEY_RP_ID: 'example.org' },
    'other origins': { PASSKEY_ORIGINS: 'https://example.com' },
    'no passkeys': { PASSKEY_ORIGINS: '' }
  }
  for (const [name, change] of Object.entries(changes)) {
    const replica = await another(change)
    const there = ada.elsewhere(replica)
    const answer = expect(200, await there.login())
    t.match(answer.json(), { otpRequired: true }, name)
    t.equal(outcome(await there.request('GET', '/session')), '403 OTP_REQUIRED', name)
    const asked = await there.request('POST', '/totp/passkeys/challenge')
    t.equal(outcome(asked), name === 'no passkeys' ? '404 NOT_FOUND' : '400 OTP_NOT_SET_UP', name)
    expect(200, await there.recover(ada.recoveryCodes.shift()))
    t.equal(outcome(await there.request('GET', '/session?required')), '200', name)
    t.match((await there.request('GET', '/totp/devices')).json(), [{ kind: 'passkey' }], name)
    await replica.close()
  }
  const session = ada.elsewhere()
  expect(200, await session.login())
  t.equal(outcome(await use(session, passkey)), '200', 'put back, it works again')
})

t.test('K2 such a change is named at start', async (t) => {
  const { url, query } = await freshDatabase(t)
  const pool = openPool(url)
  t.teardown(() => pool.end())
  await countersign.migrate(pool)
  await query(`insert into countersign.otp_device (user_id, id, kind, name, created_at, confirmed_at)
    values ('ada', '11111111-1111-4111-8111-111111111111', 'passkey', '', now(), now())`)
  await query(`insert into countersign.otp_passkey (user_id, device_id, rp_id, credential_id, public_key, algorithm, sign_count, transports,
      aaguid, backup_eligible, backed_up)
    select user_id, id, 'app.example.org', 'x', '', -7, 0, '{}', gen_random_uuid(), false, false from countersign.otp_device`)

  async function warnings (passkeys?: CountersignOptions['passkeys']): Promise<object[]> {
    const lines: Array<{ others?: object }> = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
    await app.register(countersign, {
      issuer: 'Acme',
      sealKeys: settings['SEAL_KEYS']!,
      database: pool,
      identify: () => null,
      label: () => '',
      complete: () => ({ sessionId: '', answer: {} }),
      ...(passkeys === undefined ? {} : { passkeys })
    })
    await app.ready()
    await app.close()
    return lines.filter(({ others }) => others !== undefined)
  }
  const others = [{ rpId: 'app.example.org', passkeys: 1 }]
  t.match(await warnings({ rpId: 'example.org', origins: [PASSKEY_ORIGIN] }), [{ rpId: 'example.org', others }])
  t.match(await warnings(), [{ rpId: null, others }])
  t.strictSame(await warnings({ rpId: 'app.example.org', origins: [PASSKEY_ORIGIN] }), [])
})

t.test('K2 each listed origin counts: of a related domain, and of a native app', async (t) => {
  const native = 'android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck'
  const replica = await another({ PASSKEY_ORIGINS: `${PASSKEY_ORIGIN},https://example.com,${native}` })
  const bob = await signUp(replica, 'bob')
  expect(200, await bob.login())
  for (const origin of ['https://example.com', native]) {
    const passkey = await addPasskey(bob, newPasskey({ origin }))
    t.equal(outcome(await use(bob, passkey)), '200', origin)
    t.equal(outcome(await use(bob, passkey, { origin: 'https://example.net' })), '400 PASSKEY_INVALID', origin)
  }
})

t.test('K4 STAFF_PASSKEY: each operation of staff asks for a passkey, a fresh one where it asks for a fresh proof', async (t) => {
  const replica = await another({ STAFF_PASSKEY: 'required' })
  const grace = await staffAt({ ...fresh, app: replica })
  const list = async () => outcome(await grace.request('GET', '/admin/users'))
  const unlock = async () => await grace.request('POST', `/admin/users/${idOf(grace)}/unlock`)
  t.equal(await list(), '403 PHISHING_RESISTANT_REQUIRED', 'with a code')
  const passkey = await addPasskey(grace)
  t.equal(await list(), '200')
  await fresh.clock.advance(301)
  expect(200, await grace.refreshTokens())
  expect(200, await grace.verify())
  t.equal(await list(), '200')
  const stale = await unlock()
  t.equal(outcome(stale), '403 PHISHING_RESISTANT_REQUIRED', 'a code lends no freshness')
  t.match(stale.json(), { maxAgeSeconds: 300 })
  t.match(stale.headers['www-authenticate'], /acr_values="phr", max_age="300"/)
  t.equal(outcome(await use(grace, passkey)), '200')
  t.notMatch((await unlock()).json(), { code: 'PHISHING_RESISTANT_REQUIRED' })
})
