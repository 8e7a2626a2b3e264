/** A second judge of the soft passkey's signatures: `fido2-assert` of libfido2. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { creationOptions, requestOptions } from '../../src/factors/passkeys/options.js'
import { softPasskey, type SoftPasskeyOptions } from '../../src/testing/soft-passkey.js'
import { judge, judgedLines, writePem } from '../helpers/fido2-assert.js'
import { need } from '../helpers/need.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const program = await need('fido2-assert')
const folder = await temporaryFolder(t)
const origin = 'https://app.example.org'
const party = { rpId: 'example.org', rpName: 'Example', origins: [origin], userVerification: 'preferred' as const }
const ceremony = { challenge: randomBytes(32), challengeSeconds: 300, userHandle: randomBytes(32), label: 'ada', known: [] }

async function assertion (options: SoftPasskeyOptions) {
  const passkey = softPasskey(options)
  passkey.register(creationOptions(party, ceremony))
  const known = [{ credentialId: Buffer.from(passkey.id, 'base64url'), transports: [] }]
  const response = passkey.authenticate(requestOptions(party, { ...ceremony, known }))
  return { pem: await writePem(folder, passkey.id, passkey.publicKey), lines: judgedLines(response, 'example.org') }
}

t.test('fido2-assert takes its signatures, and refuses them for another RP or another client', async (t) => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
    const { pem, lines } = await assertion({ origin, algorithm })
    const name = algorithm.toLowerCase() as 'es256' | 'eddsa' | 'rs256'
    t.equal(await judge(program, pem, name, lines, '-p', '-v'), true, algorithm)
    t.equal(await judge(program, pem, name, { ...lines, rpId: 'example.com' }), false, `${algorithm}, another RP id`)
    t.equal(await judge(program, pem, name, { ...lines, client: randomBytes(32) }), false, `${algorithm}, another client data`)
  }
})

t.test('fido2-assert sees that the user was not verified', async (t) => {
  const { pem, lines } = await assertion({ origin, verifiesUser: false })
  t.equal(await judge(program, pem, 'es256', lines, '-p'), true)
  t.equal(await judge(program, pem, 'es256', lines, '-v'), false)
})
