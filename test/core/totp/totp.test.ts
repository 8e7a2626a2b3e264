import { randomBytes, randomInt } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { codeAt } from '../../../src/core/totp/otplib.js'
import {
  base32, checkTotp, misreadings, newTotpSecret, normaliseTotp, otpauthUrl, standardTotp, totpStep
} from '../../../src/core/totp/totp.js'
import { hotp, secretOf } from '../../helpers/authenticator.js'

const RFC_SECRET = Buffer.from('12345678901234567890')
const judgement = { ...standardTotp, lastStep: -1, window: 1 }

t.test('T1 RFC 4226 appendix D', async (t) => {
  const codes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489']
  codes.forEach((code, counter) => t.equal(codeAt(RFC_SECRET, counter, standardTotp), code, `count ${counter}`))
})

/** [Unix seconds, SHA-1, SHA-256, SHA-512]: 8 digits; six digits are the last six of them. */
const appendixB = [
  [59, '94287082', '46119246', '90693936'],
  [1111111109, '07081804', '68084774', '25091201'],
  [1111111111, '14050471', '67062674', '99943326'],
  [1234567890, '89005924', '91819424', '93441116'],
  [2000000000, '69279037', '90698825', '38618901'],
  [20000000000, '65353130', '77737706', '47863826']
] as const
/** The erratum of RFC 6238: the secret is as long as the digest. */
const rfcSecret = (bytes: number) => Buffer.from('1234567890'.repeat(7).slice(0, bytes))

t.test('T1 RFC 6238 appendix B', async (t) => {
  for (const [seconds, ...codes] of appendixB) {
    for (const [i, [algorithm, bytes]] of ([['SHA1', 20], ['SHA256', 32], ['SHA512', 64]] as const).entries()) {
      const [code, secret] = [codes[i]!, rfcSecret(bytes)]
      const step = Math.floor(seconds / 30)
      const accepted = { accepted: true, step }
      t.equal(codeAt(secret, step, { digits: 8, periodSeconds: 30, algorithm }), code)
      t.same(checkTotp(secret, code, seconds, { ...judgement, digits: 8, algorithm }), accepted, `${algorithm} at ${seconds}`)
      t.same(checkTotp(secret, code.slice(2), seconds, { ...judgement, algorithm }), accepted)
      t.same(checkTotp(secret, code, seconds, { ...judgement, algorithm }), { accepted: false, used: false },
        'eight digits are no code of a six-digit device')
      t.same(checkTotp(secret, code.slice(2), seconds, { ...judgement, digits: 8, algorithm }), { accepted: false, used: false })
    }
  }
})

t.test('T1 node:crypto agrees, for 10 000 random secrets, times and parameters', async (t) => {
  const hashes = { SHA1: 'sha1', SHA256: 'sha256', SHA512: 'sha512' } as const
  let wrong = 0
  for (let i = 0; i < 10_000; i++) {
    const secret = randomBytes(randomInt(1, 200))
    const algorithm = (['SHA1', 'SHA256', 'SHA512'] as const)[i % 3]!
    const parameters = {
      digits: randomInt(6, 9), periodSeconds: randomInt(1, 100_000), t0Seconds: randomInt(-1_000_000, 1_000_000), algorithm
    }
    const nowSeconds = randomInt(1_000_000, 2 ** 33) + Math.random()
    const offset = randomInt(-2, 3)
    const step = totpStep(parameters, nowSeconds) + offset
    const code = hotp(secret, Math.max(step, 0), parameters.digits, hashes[algorithm])
    const check = checkTotp(secret, code, nowSeconds, { ...parameters, lastStep: -1, window: 1 })
    const neighbours = [-1, 0, 1].map((by) => step - offset + by).filter((one) => one >= 0)
      .filter((one) => hotp(secret, one, parameters.digits, hashes[algorithm]) === code)
    if (check.accepted ? check.step !== neighbours.at(-1) : neighbours.length > 0) wrong++
  }
  t.equal(wrong, 0)
})

t.test('a row with parameters that give no code is a fault, not a wrong code', async (t) => {
  for (const parameters of [{ periodSeconds: 0 }, { periodSeconds: 1.5 }, { algorithm: 'MD5' as 'SHA1' }]) {
    t.throws(() => checkTotp(RFC_SECRET, '123456', 59, { ...judgement, ...parameters }), JSON.stringify(parameters))
  }
  t.throws(() => checkTotp(Buffer.alloc(0), '123456', 59, judgement), 'an empty secret')
})

t.test('T4 drift is one step on each side, and not a second more', async (t) => {
  const step = 41_152_263
  const code = hotp(RFC_SECRET, step, 6)
  /** [seconds after the step began, accepted?] */
  const drift = [[-31, false], [-30.001, false], [-30, true], [0, true], [29.999, true], [59, true], [59.999, true], [60, false]] as const
  for (const [seconds, accepted] of drift) {
    t.equal(checkTotp(RFC_SECRET, code, step * 30 + seconds, judgement).accepted, accepted, `${seconds} s`)
  }
  for (const [seconds, accepted] of [[-1, false], [0, true], [29.999, true], [30, false]] as const) {
    t.equal(checkTotp(RFC_SECRET, code, step * 30 + seconds, { ...judgement, window: 0 }).accepted, accepted, `${seconds} s, no window`)
  }
})

t.test('T3 only steps after the last one are accepted', async (t) => {
  const now = 41_152_263
  for (const offset of [-1, 0, 1]) {
    for (const last of [-2, -1, 0, 1]) {
      const check = checkTotp(RFC_SECRET, hotp(RFC_SECRET, now + offset, 6), now * 30, { ...judgement, lastStep: now + last })
      t.equal(check.accepted, offset > last, `step ${offset} after ${last}`)
      if (check.accepted) t.equal(check.step, now + offset)
      else t.equal(check.used, true)
    }
  }
})

t.test('T4 other periods and another start of time', async (t) => {
  const other = { digits: 7, periodSeconds: 60, t0Seconds: 1_000, lastStep: -1, window: 1 }
  t.same(checkTotp(RFC_SECRET, hotp(RFC_SECRET, 5, 7), 1_000 + 5 * 60, other), { accepted: true, step: 5 })
  t.same(checkTotp(RFC_SECRET, hotp(RFC_SECRET, 0, 7), 1_000, other), { accepted: true, step: 0 }, 'the very first step')
  t.same(checkTotp(RFC_SECRET, '0000000', 0, other), { accepted: false, used: false }, 'before time began')
})

t.test('T13 E4 what is no code is wrong, not an exception', async (t) => {
  for (const code of ['', 'abcdef', '12345', '1234567', '٠١٢٣٤٥', '\u0000\u0000\u0000\u0000\u0000\u0000', '😀😀😀']) {
    t.same(checkTotp(RFC_SECRET, code, 59, judgement), { accepted: false, used: false })
  }
  const accepted = [['123 456', '123456'], ['123-456', '123456'], [' 123456\n', '123456'], ['1 2-3 4 5 6', '123456'],
    ['012345', '012345'], ['12345678', '12345678'], ['１２３４５６', '123456'], ['٠١٢٣٤٥', '012345'], ['१२३ ४५६', '123456'],
    ['𝟏𝟐𝟑–𝟒𝟓𝟔', '123456'], ['\u200E123\u2009456\u200B', '123456'], ['123−456', '123456']]
  for (const [typed, code] of accepted) t.equal(normaliseTotp(typed!), code, JSON.stringify(typed))
  const refused = ['', '12345', '123456789', '+12345', '-', '１２３４５', '٠١٢٣٤x', '123456.', '½23456', '121639.7', '1e5000', '0x1234',
    '12345a', '123456\u0000', '123_456', 'null']
  for (const typed of refused) t.equal(normaliseTotp(typed), null, JSON.stringify(typed))
})

t.test('T6 a secret has 160 bits and is never the same', async (t) => {
  const secrets = Array.from({ length: 1_000 }, newTotpSecret)
  t.ok(secrets.every(({ length }) => length === 20))
  t.equal(new Set(secrets.map((secret) => secret.toString('hex'))).size, 1_000)
  const ones = secrets.flatMap((secret) => [...secret]).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  t.ok(Math.abs(ones / 160_000 - 0.5) < 0.01, `${ones} of 160 000 bits are set`)
})

t.test('T16 base32 is RFC 4648, and the URI gives back what went in', async (t) => {
  const vectors = [
    ['', ''], ['f', 'MY'], ['fo', 'MZXQ'], ['foo', 'MZXW6'], ['foob', 'MZXW6YQ'], ['fooba', 'MZXW6YTB'], ['foobar', 'MZXW6YTBOI']
  ] as const
  for (const [text, encoded] of vectors) {
    t.equal(base32(Buffer.from(text)), encoded)
  }
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const secrets = fc.uint8Array({ minLength: 20, maxLength: 20 })
  fc.assert(fc.property(text.filter((issuer) => issuer !== ''), text, secrets, (issuer, label, secret) => {
    const url = otpauthUrl(issuer, label, secret, standardTotp)
    const [, path = ''] = /^otpauth:\/\/totp\/([^?]*)\?/.exec(url) ?? []
    const parts = path.split(':').map(decodeURIComponent)
    const query = new Map(url.slice(url.indexOf('?') + 1).split('&').map((pair) => pair.split('=') as [string, string]))
    const names = path.includes('%3A') || path.includes('%3a')
    return secretOf(url).equals(Buffer.from(secret)) && parts[0] === issuer && parts.slice(1).join(':') === label.replaceAll(':', '-') &&
      decodeURIComponent(query.get('issuer') ?? '') === issuer && query.size === 5 && (!names || issuer.includes(':'))
  }), { numRuns: 300, examples: [['A/B & C?', 'ada%20 😀:x@y#z', randomBytes(20)]] })
  t.match(otpauthUrl('x', '\uD800', randomBytes(20), standardTotp), '%EF%BF%BD', 'half a surrogate pair is no exception')
})

t.test('an issuer that pyotp refuses, that ykman takes for a period or Pass::OTP for Steam, is known', async (t) => {
  const read = ['Acme', 'Acme Corp', 'A/B', 'Open 24/7', '24 / 7', '24h/7', '7', 'The Steam Mill', 'Stea']
  for (const issuer of read) t.same(misreadings(issuer), [], issuer)
  const misread = ['A&B', 'A+B', 'No #1', 'Who?', '24/7 Support', '3/', 'Steamboat Tours', 'steam', 'STEAM works']
  for (const issuer of misread) t.equal(misreadings(issuer).length, 1, issuer)
  t.equal(misreadings('24/7 & more').length, 2)
})
