/** A second client, which shares no code with the service or the soft passkey: python3-fido2. `fido2-assert` judges beside us. */
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { decodeAttestationObject, decodeCredentialPublicKey, parseAuthenticatorData } from '@simplewebauthn/server/helpers'
import t from 'tap'
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '../../../src/core/passkeys/webauthn.js'
import { outcome } from '../../helpers/answers.js'
import { freshApp, PASSKEY_ORIGIN } from '../../helpers/app.js'
import { judge, judgedLines, writePem } from '../../helpers/fido2-assert.js'
import { need } from '../../helpers/need.js'
import { answer, challenge, confirm, creation } from '../../helpers/passkeys.js'
import { expect, signUp } from '../../helpers/person.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

const python = await need('python3-fido2')
const fido2Assert = await need('fido2-assert')
const { app } = await freshApp(t)
const folder = await temporaryFolder(t)

const client = spawn(python, ['test/factors/passkeys/fido2_client.py'], { stdio: ['pipe', 'pipe', 'inherit'] })
t.teardown(() => client.stdin.end())
const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]()

interface Request { method: 'create' | 'get', options: object, origin?: string, counting?: boolean }

/** @throws {Error} named for the client's error, if it refuses */
async function ask<Response> (request: Request): Promise<Response> {
  client.stdin.write(`${JSON.stringify({ origin: PASSKEY_ORIGIN, ...request })}\n`)
  const { response, refused } = JSON.parse((await lines.next()).value!) as { response: Response, refused?: string }
  if (refused !== undefined) throw new Error(refused)
  return response
}
const create = (options: object) => ask<RegistrationResponseJSON>({ method: 'create', options })
const get = (options: object, more: Partial<Request> = {}) => ask<AuthenticationResponseJSON>({ method: 'get', options, ...more })

const ada = await signUp(app, 'ada')
expect(200, await ada.login())

t.test('K1 it registers, and logs in with a counter that stays 0 and with one that rises', async (t) => {
  const { options } = await creation(ada)
  const created = await create(options)
  t.equal(outcome(await confirm(ada, created)), '200')
  const session = ada.elsewhere()
  expect(200, await session.login())
  for (const counting of [false, false, true, true]) {
    const asserted = await get(await challenge(session), { counting })
    t.equal(outcome(await answer(session, asserted)), '200')
    const pem = await writePem(folder, 'key', publicKeyOf(created))
    t.equal(await judge(fido2Assert, pem, 'es256', judgedLines(asserted, options.rp.id), '-p'), true, 'fido2-assert agrees')
    t.equal(await judge(fido2Assert, pem, 'es256', judgedLines(asserted, options.rp.id), '-v'), false, 'the user was not verified')
  }
  t.match(session.claims(), { acr: 'phr' })
})

t.test('K2 what it signs for another origin is refused', async (t) => {
  const phished = await get(await challenge(ada), { origin: 'https://evil.example', counting: true })
  t.equal(outcome(await answer(ada, phished)), '400 PASSKEY_INVALID')
  t.equal(outcome(await answer(ada, await get(await challenge(ada), { counting: true }))), '200')
})

t.test('K3 it finds its passkey in `excludeCredentials`, and none of another user', async (t) => {
  await t.rejects(create((await creation(ada)).options), { message: 'DEVICE_INELIGIBLE' })
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  t.equal(outcome(await confirm(eve, await create((await creation(eve)).options))), '200')
  const { allowCredentials } = await challenge(ada)
  const borrowed = await get({ ...await challenge(eve), allowCredentials }, { counting: true })
  t.equal(outcome(await answer(eve, borrowed)), '400 PASSKEY_INVALID')
})

/** Returns the key of a registration as SPKI in DER: this client sends it inside the attestation alone. */
function publicKeyOf ({ response }: RegistrationResponseJSON): Buffer {
  const attestation = decodeAttestationObject(new Uint8Array(Buffer.from(response.attestationObject, 'base64url')))
  const { credentialPublicKey } = parseAuthenticatorData(attestation.get('authData'))
  const cose = decodeCredentialPublicKey(credentialPublicKey!) as unknown as Map<number, Uint8Array>
  const text = (label: number) => Buffer.from(cose.get(label)!).toString('base64url')
  const key = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: text(-2), y: text(-3) } })
  return key.export({ format: 'der', type: 'spki' })
}
