import { randomBytes } from 'node:crypto'
import { generateSync } from 'otplib'
import t from 'tap'
import { base32, otpauthUrl, standardTotp } from '../../src/core/totp/totp.js'
import { authenticator } from '../../src/testing/authenticator.js'

t.test('it reads what the plugin shows, and gives the codes of that time', async (t) => {
  for (let i = 0; i < 50; i++) {
    const secret = randomBytes(20)
    const at = new Date(i * 40_000_000_000)
    const phone = authenticator(otpauthUrl('Acme & Söhne', 'ada@example.org/%', secret, standardTotp))
    t.match(phone, { issuer: 'Acme & Söhne', label: 'ada@example.org/%' })
    t.equal(phone.code(at), generateSync({ secret: base32(secret), epoch: at.getTime() / 1000 }))
  }
  t.match(authenticator('otpauth://totp/x:ada?secret=GEZDGNBVGY3TQOJQ').code(), /^[0-9]{6}$/)
})

t.test('what no app could read is refused', async (t) => {
  const unreadable = [
    'https://example.org', 'otpauth://hotp/x:ada?secret=GEZDGNBV', 'otpauth://totp/x:ada', 'otpauth://totp/x:ada?secret=1',
    'otpauth://totp/x:ada?secret=GEZDGNBV&algorithm=SHA256', 'otpauth://totp/x:ada?secret=GEZDGNBV&digits=x'
  ]
  for (const url of unreadable) {
    t.throws(() => authenticator(url), { name: 'TypeError' }, url)
  }
})
