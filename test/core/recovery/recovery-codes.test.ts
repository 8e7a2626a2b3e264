import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { newRecoveryCode, normaliseRecoveryCode, recoveryDigest } from '../../../src/core/recovery/recovery-codes.js'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

t.test('R1 a code has 120 bits: 24 symbols of 32, all of them used, evenly', async (t) => {
  const codes = Array.from({ length: 2_000 }, newRecoveryCode)
  t.equal(new Set(codes).size, codes.length)
  t.ok(codes.every((code) => /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}$/.test(code)))
  for (let place = 0; place < 24; place++) {
    const seen = new Map<string, number>()
    for (const code of codes) {
      const symbol = code.replaceAll('-', '').charAt(place)
      seen.set(symbol, (seen.get(symbol) ?? 0) + 1)
    }
    t.equal(seen.size, ALPHABET.length, `place ${place} takes every symbol`)
    t.ok(Math.max(...seen.values()) < 2_000 / 32 * 2, `place ${place} favours none`)
  }
})

t.test('R1 what was printed is found from what is typed', async (t) => {
  const code = '7G3K-9QWE-RTY2-4HJM-P0XC-V18N'
  const plain = code.replaceAll('-', '')
  const typed = [code, plain, code.toLowerCase(), code.replaceAll('-', ' '), ` ${code}\n`, code.replaceAll('-', ' - '),
    code.replaceAll('-', '–'), code.replaceAll('-', '\u2212'), `${code}.`, `${code}。`, code.split('').join('\u200B'),
    code.replace('7', '７').replace('4', '٤'), `\uFEFF${code.replace('Q', '𝐐')}\u00AD`, code.replace('0', 'O').replace('V1', 'VI'),
    code.toLowerCase().replace('0', 'o').replace('v1', 'vl'), code.replace('V1', 'Vi')]
  for (const text of typed) t.equal(normaliseRecoveryCode(text), plain, JSON.stringify(text))

  const folded = fc.constantFrom(
    (s: string) => s, (s: string) => s.toLowerCase(), (s: string) => s.replaceAll('0', 'o').replaceAll('1', 'l'))
  fc.assert(fc.property(fc.constant(0).map(newRecoveryCode), folded, (printed, fold) =>
    normaliseRecoveryCode(fold(printed)) === printed.replaceAll('-', '')), { numRuns: 200 })
})

t.test('E4 what is no code is null, not an exception', async (t) => {
  const plain = '7G3K9QWERTY24HJMP0XCV18N'
  const others = [
    '', plain.slice(1), `${plain}0`, plain.replace('7', 'U'), plain.replace('7', '７７'), plain.replace('7', '\u0000'), '-'.repeat(24),
    '😀'.repeat(12)
  ]
  for (const text of others) {
    t.equal(normaliseRecoveryCode(text), null, JSON.stringify(text))
  }
})

t.test('R1 a digest is of the key, the user and the code, whole', async (t) => {
  const key = randomBytes(32)
  const code = normaliseRecoveryCode(newRecoveryCode())!
  const digest = recoveryDigest(key, 'ada', code)
  t.equal(digest, recoveryDigest(key, 'ada', code))
  t.equal(Buffer.from(digest, 'base64url').length, 32)
  t.notOk(digest.includes(code))
  t.not(digest, recoveryDigest(randomBytes(32), 'ada', code), 'another key')
  t.not(digest, recoveryDigest(key, 'bob', code), 'another user')
  t.not(digest, recoveryDigest(key, 'ada', normaliseRecoveryCode(newRecoveryCode())!), 'another code')
})
