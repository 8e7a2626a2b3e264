import t from 'tap'
import { newEnrolmentSeed, seededRecoveryCodes, seededTotpSecret } from '../../../src/core/totp/enrolment-seed.js'

t.test('a seed gives the same secret and codes each time, another seed others', async (t) => {
  const seeds = Array.from({ length: 200 }, newEnrolmentSeed)
  for (const seed of seeds) {
    t.equal(seed.length, 32)
    t.same(seededTotpSecret(seed), seededTotpSecret(Buffer.from(seed)))
    t.same(seededRecoveryCodes(seed, 3), seededRecoveryCodes(seed, 20).slice(0, 3), 'more codes begin with the same ones')
  }
  const codes = seeds.flatMap((seed) => seededRecoveryCodes(seed, 20))
  t.equal(new Set(codes).size, 200 * 20)
  t.equal(new Set(seeds.map((seed) => seededTotpSecret(seed).toString('hex'))).size, 200)
  t.ok(codes.every((code) => /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}$/.test(code)))
  t.ok(seeds.every((seed) => seededTotpSecret(seed).length === 20))
})

t.test('derived as written: a change would give other codes than the first answer showed', async (t) => {
  const seed = Buffer.alloc(32, 7)
  t.equal(seededTotpSecret(seed).toString('hex'), 'e6801b7d55fb36faba16626e1abb0f04ca7eef8d')
  t.same(seededRecoveryCodes(seed, 1), ['3VRS-BPTP-V8FJ-B43N-NNKK-RPTP'])
})
