import t from 'tap'
import { isPasskeyOrigin, isRpIdOf, relyingPartyOf } from '../../../src/core/passkeys/relying-party.js'

const native = 'android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck'

t.test('an origin is one at which browsers allow passkeys, exactly as they write it', async (t) => {
  for (const origin of [
    'https://example.org', 'https://example.org:8443', 'http://localhost', 'http://localhost:3000', 'http://app.localhost:3000',
    'https://xn--bcher-kva.example', native
  ]) t.equal(isPasskeyOrigin(origin), true, origin)
  for (const origin of [
    'http://example.org', 'https://example.org/', 'https://example.org:443', 'http://localhost:80', 'https://Example.org',
    'https://b\u00fccher.example', 'https://1.2.3.4', 'https://[::1]', 'http://127.0.0.1:3000', 'https://user@example.org',
    'https://example.org?', 'null', '', 'file://', 'notlocalhost', 'http://notlocalhost', `${native}x`, native.toUpperCase()
  ]) t.equal(isPasskeyOrigin(origin), false, origin)
})

/** [RP id, origin, may its pages use it?] */
const domains = [
  ['example.org', 'https://example.org', true],
  ['example.org', 'https://example.org:8443', true],
  ['example.org', 'https://app.example.org', true],
  ['app.example.org', 'https://example.org', false],
  ['ample.org', 'https://example.org', false],
  ['example.org', 'https://example.org.evil.example', false],
  ['localhost', 'http://localhost:3000', true],
  ['app.localhost', 'http://app.localhost:3000', true],
  ['localhost', 'http://app.localhost:3000', false],
  ['example.org', native, false]
] as const

t.test('an RP id is the host of an origin or a parent domain of it', async (t) => {
  for (const [rpId, origin, may] of domains) t.equal(isRpIdOf(rpId, origin), may, `${rpId} at ${origin}`)
})

t.test('the relying party is that of the first page, unless a setting names it', async (t) => {
  const origins = [native, 'https://app.example.org', 'https://example.com']
  t.strictSame(relyingPartyOf({ origins, rpName: 'Acme' }), {
    rpId: 'app.example.org', rpName: 'Acme', origins, userVerification: 'preferred'
  })
  t.match(relyingPartyOf({ origins, rpId: 'example.org', rpName: 'Acme', userVerification: 'required' }), {
    rpId: 'example.org', userVerification: 'required'
  })
  t.equal(relyingPartyOf({ origins: [], rpName: 'Acme' }), undefined)
  t.equal(relyingPartyOf({ origins: [native], rpName: 'Acme' }), undefined, 'an app alone has no domain')
})
