import { createPublicKey, generateKeyPairSync, randomBytes, verify, type JsonWebKey } from 'node:crypto'
import t from 'tap'
import { freshApp, type App } from '../helpers/app.js'
import { opened } from '../helpers/jws.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'

await need('postgres')

const fresh = {
  HS256: () => randomBytes(32),
  EdDSA: () => generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' })
} as const

const status = async (app: App, token: string | null) =>
  (await app.inject({ url: '/session', headers: { authorization: `Bearer ${token}` } })).statusCode

/** Verifies a token as another service does, which has only the JWKS. */
async function verifies (app: App, token: string): Promise<boolean> {
  const { keys } = (await app.inject({ url: '/.well-known/jwks.json' })).json<{ keys: Array<JsonWebKey & { kid: string }> }>()
  const key = keys.find(({ kid }) => kid === opened(token).header['kid'])
  if (key === undefined) return false
  const dot = token.lastIndexOf('.')
  return verify(
    null, Buffer.from(token.slice(0, dot)), createPublicKey({ key, format: 'jwk' }), Buffer.from(token.slice(dot + 1), 'base64url')
  )
}

for (const JWT_ALG of ['HS256', 'EdDSA'] as const) {
  t.test(`J9 ${JWT_ALG}: replica by replica, from the old key to the new one`, async (t) => {
    const [old, young] = ['old', 'new'].map((kid) => `${kid}:${fresh[JWT_ALG]().toString('base64url')}`) as [string, string]
    const { app: before, clock, another } = await freshApp(t, { JWT_ALG, JWT_KEYS: old })
    const announced = await another({ JWT_KEYS: `${old},${young}` })
    // From then on, other services can know it.
    await clock.advance(60)
    const during = await another({ JWT_KEYS: `${young},${old}` })
    const after = await another({ JWT_KEYS: young })

    const ada = await signUp(before)
    expect(200, await ada.login())
    const first = { access: ada.access!, refresh: ada.refresh! }
    t.same(await Promise.all([before, announced, during, after].map((app) => status(app, first.access))), [200, 200, 200, 401])

    const moved = ada.elsewhere(during)
    expect(200, await moved.refreshTokens(first.refresh))
    t.equal(opened(moved.access!).header['kid'], 'new', 'the session goes on under the new key')
    t.equal(opened(moved.access!).payload['sid'], opened(first.access).payload['sid'])
    t.same(await Promise.all([before, announced, during, after].map((app) => status(app, moved.access))), [401, 200, 200, 200])
    t.equal((await moved.elsewhere(after).refreshTokens(first.refresh)).statusCode, 401, 'a removed key refreshes nothing')
    t.equal((await moved.elsewhere(after).refreshTokens(moved.refresh)).statusCode, 200, 'and that ended no session')

    for (const [app, knowsOld] of [[during, true], [after, false]] as const) {
      t.equal(await verifies(app, first.access), JWT_ALG === 'EdDSA' && knowsOld)
      t.equal(await verifies(app, moved.access!), JWT_ALG === 'EdDSA')
    }
    const jwks = (await during.inject({ url: '/.well-known/jwks.json' })).body
    t.notMatch(jwks, /"d"|"k"|oct/, 'nothing private')
  })
}

t.test('J9 the same kid with another key is another key', async (t) => {
  const { app, another } = await freshApp(t, { JWT_KEYS: `k:${fresh.HS256().toString('base64url')}` })
  const other = await another({ JWT_KEYS: `k:${fresh.HS256().toString('base64url')}` })
  const ada = await signUp(app)
  expect(200, await ada.login())
  t.equal(await status(other, ada.access), 401)
})

t.test('J1 from one algorithm to the other: no token of the first is accepted', async (t) => {
  const { app, another } = await freshApp(t, { JWT_ALG: 'EdDSA', JWT_KEYS: `k:${fresh.EdDSA().toString('base64url')}` })
  const other = await another({ JWT_ALG: 'HS256', JWT_KEYS: `k:${fresh.HS256().toString('base64url')}` })
  const ada = await signUp(app)
  expect(200, await ada.login())
  t.equal(await status(other, ada.access), 401)
  expect(200, await ada.elsewhere(other).login())
})
