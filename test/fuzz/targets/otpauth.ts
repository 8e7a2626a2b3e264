import fc from 'fast-check'
import { ScureBase32Plugin } from '@otplib/plugin-base32-scure'
import { parse } from '@otplib/uri'
import { fromBase32, readSecret } from '../../../src/factors/moving/secrets.js'
import { base32, misreadings, otpauthUrl, totpStep } from '../../../src/core/totp/totp.js'
import { numberOf, rule, textOf, type Input, type Target } from '../target.js'

const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const words = [
  'otpauth://totp/', 'otpauth://hotp/', 'otpauth:///totp/', 'OTPAUTH://', `secret=${SECRET}`, `&secret=${SECRET}`, '&issuer=',
  '&algorithm=',
  'SHA1', 'sha-256', 'SHA512', '&digits=6', '&digits=8', '&period=30', '&period=0x1e', '&digits=1e1', '?', '%3A', '%', ':', '=', ' ', '1',
  '8',
  SECRET, 'GEZDGNBV', 'MZXW6===', 'a'
]
const letters = fc.constantFrom(...words, ...'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=')
const text = fc.oneof(
  fc.string({ unit: letters, maxLength: 20 }),
  fc.string({ unit: letters, maxLength: 4 }).map((more) => `otpauth://totp/ACME:ada?secret=${SECRET}${more}`)
)

/** Secrets of authenticator apps in base32 and in otpauth URIs. Judges: otplib's readers of both. */
export const target: Target = {
  files: ['src/core/totp/totp.js', 'src/factors/moving/secrets.js'],
  words,
  arbitrary: fc.oneof(
    fc.record({ text }),
    fc.record({
      issuer: fc.string({ unit: 'binary', maxLength: 12 }),
      label: fc.string({ unit: 'binary', maxLength: 120 }),
      secret: fc.string({ maxLength: 20 }),
      digits: fc.constantFrom(6, 7, 8),
      period: fc.constantFrom(1, 30, 60),
      algorithm: fc.constantFrom('SHA1', 'SHA256', 'SHA512')
    })
  ),
  check (input) {
    checkBase32(textOf(input, 'text'))
    checkUri(textOf(input, 'text'))
    checkPrinted(input)
  }
}

const judge = new ScureBase32Plugin()

function judged<Value> (read: () => Value): Value | null {
  try {
    return read()
  } catch {
    return null
  }
}

function checkBase32 (text: string): void {
  const ours = fromBase32(text)
  const compact = text.replace(/[\s=]/g, '').toUpperCase()
  const theirs = judged(() => judge.decode(compact))
  rule(theirs === null || theirs.length === 0 || (ours !== null && ours.equals(theirs)), 'otplib reads a base32 text otherwise')
  if (ours === null) return
  // Bits left over at the end are dropped, which otplib refuses.
  rule(base32(ours).slice(0, -1) === compact.slice(0, base32(ours).length - 1), 'a base32 text is read as that of another key')
  rule(fromBase32(base32(ours))!.equals(ours), 'a printed key is read as another one')
  for (const name of ['hex', 'text'] as const) readSecret(name === 'hex' ? { hex: text } : { text })
}

function checkUri (text: string): void {
  const ours = readSecret({ otpauth: text })
  // The parser of URLs ends the query there, and leaves these out; otplib does neither.
  if (/[#\t\r\n]/.test(text)) return
  const theirs = judged(() => parse(text))
  if ('fault' in ours || theirs === null || theirs.type !== 'totp') return
  // In a query, "+" is a space in one of the two standards. Neither is a symbol of base32.
  const key = judged(() => judge.decode(theirs.params.secret.replace(/[\s+=]/g, '').toUpperCase()))
  rule(key === null || ours.key.length === 0 || Buffer.from(key).equals(ours.key), 'otplib reads another key in a URI')
  const { digits, algorithm, period } = theirs.params
  const { parameters } = ours
  rule(digits === undefined || digits === parameters.digits, 'otplib reads other digits in a URI')
  rule(algorithm === undefined || algorithm === parameters.algorithm?.toLowerCase(), 'otplib reads another algorithm in a URI')
  rule(period === undefined || period === parameters.periodSeconds, 'otplib reads another period in a URI')
}

function checkPrinted (input: Input): void {
  const issuer = textOf(input, 'issuer').replaceAll(':', '')
  const key = Buffer.from(textOf(input, 'secret'))
  const algorithm = (['SHA1', 'SHA256', 'SHA512'] as const).find((name) => name === textOf(input, 'algorithm'))
  const [digits, periodSeconds] = [numberOf(input, 'digits'), numberOf(input, 'period')]
  if (algorithm === undefined || key.length === 0 || digits < 6 || digits > 8 || periodSeconds === 0) return
  const uri = otpauthUrl(issuer, textOf(input, 'label'), key, { digits, periodSeconds, t0Seconds: 0, algorithm })
  const read = readSecret({ otpauth: uri })
  rule(!('fault' in read), 'a printed URI is not read')
  if ('fault' in read) return
  rule(Buffer.from(read.key).equals(key) && read.parameters.digits === digits && read.parameters.periodSeconds === periodSeconds &&
    read.parameters.algorithm === algorithm, 'a printed URI is read as that of another device')
  misreadings(issuer)
  totpStep({ digits, periodSeconds, t0Seconds: 0 }, 0)
  // The judge has limits of length of its own, and knows halves of pairs no better.
  const theirs = judged(() => parse(uri))
  if (theirs === null || uri.length > 1024) return
  const whole = issuer.replace(/\p{Surrogate}/gu, '\uFFFD')
  rule(whole === '' || theirs.params.issuer === whole, 'otplib reads another issuer in a printed URI')
}
