import t from 'tap'
import { secretOf, stepAt, totp } from './authenticator.js'

// RFC 6238 appendix B, SHA-1: the last six of its eight digits.
const vectors = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130']
] as const

t.test("the tests' own authenticator agrees with the RFC", async (t) => {
  const secret = secretOf('otpauth://totp/x:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=x')
  t.equal(secret.toString(), '12345678901234567890')
  for (const [seconds, code] of vectors) t.equal(totp(secret, stepAt(new Date(seconds * 1000))), code)
})
