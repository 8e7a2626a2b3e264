/** A second judge of signatures, which shares no code with the library: `fido2-assert` of libfido2. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { creationOptions, requestOptions } from '../../src/factors/passkeys/options.js'
import { encodeCbor } from '../../src/testing/cbor.js'
import { softPasskey, type SoftPasskeyOptions } from '../../src/testing/soft-passkey.js'
import { need } from '../helpers/need.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const program = await need('fido2-assert')
const folder = await temporaryFolder(t)
const origin = 'https://app.example.org'
const party = { rpId: 'example.org', rpName: 'Example', origins: [origin], userVerification: 'preferred' as const }
const ceremony = { challenge: randomBytes(32), challengeSeconds: 300, userHandle: randomBytes(32), label: 'ada', known: [] }

/** Runs `fido2-assert -V`. @returns its exit code */
async function judge (flags: string[], pem: string, algorithm: string, lines: ReadonlyArray<string | Uint8Array>): Promise<number> {
  const input = lines.map((line) => typeof line === 'string' ? line : Buffer.from(line).toString('base64')).join('\n') + '\n'
  return await new Promise((resolve) => {
    const child = execFile(program, ['-V', ...flags, pem, algorithm], (error) => { resolve(Number(error?.code ?? 0)) })
    child.stdin!.end(input)
  })
}

async function assertion (options: SoftPasskeyOptions) {
  const passkey = softPasskey(options)
  passkey.register(creationOptions(party, ceremony))
  const known = [{ credentialId: Buffer.from(passkey.id, 'base64url'), transports: [] }]
  const { response } = passkey.authenticate(requestOptions(party, { ...ceremony, known }))
  const pem = join(folder, `${passkey.id}.pem`)
  const spki = passkey.publicKey.toString('base64').replace(/(.{64})(?!$)/g, '$1\n')
  await writeFile(pem, `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`)
  const client = createHash('sha256').update(Buffer.from(response.clientDataJSON, 'base64url')).digest()
  const signature = Buffer.from(response.signature, 'base64url')
  return { pem, client, authData: encodeCbor(Buffer.from(response.authenticatorData, 'base64url')), signature }
}

t.test('fido2-assert takes its signatures, and refuses them for another RP or another client', async (t) => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
    const { pem, client, authData, signature } = await assertion({ origin, algorithm })
    const name = algorithm.toLowerCase()
    t.equal(await judge(['-p', '-v'], pem, name, [client, 'example.org', authData, signature]), 0, algorithm)
    t.equal(await judge([], pem, name, [client, 'example.com', authData, signature]), 1, `${algorithm}, another RP id`)
    t.equal(await judge([], pem, name, [randomBytes(32), 'example.org', authData, signature]), 1, `${algorithm}, another client data`)
  }
})

t.test('fido2-assert sees that the user was not verified', async (t) => {
  const { pem, client, authData, signature } = await assertion({ origin, verifiesUser: false })
  t.equal(await judge(['-p'], pem, 'es256', [client, 'example.org', authData, signature]), 0)
  t.equal(await judge(['-v'], pem, 'es256', [client, 'example.org', authData, signature]), 1)
})
