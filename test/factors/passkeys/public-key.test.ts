import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { requireUsableKey } from '../../../src/factors/passkeys/public-key.js'

const bytes = (text: string | undefined) => Buffer.from(text!, 'base64url')

function rsa (modulusLength: number, publicExponent: number): Map<number, unknown> {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({ format: 'jwk' })
  return new Map<number, unknown>([[1, 3], [3, -257], [-1, bytes(n)], [-2, bytes(e)]])
}

t.test('K2 an RSA key of less than 2048 bits, or with a small exponent, is not usable', async (t) => {
  t.equal(requireUsableKey(rsa(2048, 65_537)), -257)
  for (const weak of [rsa(1024, 65_537), rsa(2048, 3)]) t.throws(() => requireUsableKey(weak), TypeError)
  const one = rsa(2048, 65_537).set(-2, Buffer.of(1))
  t.throws(() => requireUsableKey(one), 'with the exponent 1 anyone can sign')
})

t.test('K2 a key of another algorithm than it says is not usable', async (t) => {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  const ed25519 = new Map<number, unknown>([[1, 1], [3, -8], [-1, 6], [-2, bytes(x)]])
  t.equal(requireUsableKey(ed25519), -8)
  for (const algorithm of [-7, -257, -48]) t.throws(() => requireUsableKey(new Map(ed25519).set(3, algorithm)))
})
