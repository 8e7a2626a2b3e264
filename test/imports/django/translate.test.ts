import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createSeal } from '../../../src/core/keys/seal.js'
import { checkTotp } from '../../../src/core/totp/totp.js'
import type { DjangoTotpDevice, DjangoUser } from '../../../src/imports/django/source.js'
import { translate } from '../../../src/imports/django/translate.js'
import { prepare } from '../../../src/imports/prepare.js'
import { hotp } from '../../helpers/authenticator.js'

const seal = createSeal([{ kid: 'a', bytes: randomBytes(32) }], 'test')
const digestKey = randomBytes(32)
const KEY = '1dce5e59133dfbb2139285485ea19bb1be3a97d8'

const device: DjangoTotpDevice = {
  id: 1, name: 'phone', confirmed: true, key: KEY, step: 30, t0: 0, digits: 6, tolerance: 1, drift: 0, lastT: -1
}
const joinedAt = new Date('2026-01-01')
const ada: DjangoUser = {
  id: 7,
  username: 'Ada',
  password: '!none',
  email: 'ada@example.org',
  firstName: 'Ada',
  lastName: 'L',
  isStaff: false,
  isActive: true,
  joinedAt,
  profile: null,
  oauthProfiles: [],
  totpDevices: [],
  staticDevices: 0,
  staticTokens: []
}

function bring (user: Partial<DjangoUser>, window = 1) {
  const person = translate({ ...ada, ...user }, window)
  const { rows, notes } = prepare(person, 0, { seal, digestKey, window, nowSeconds: 1_800_000_000 })
  return { user: rows === null ? null : { ...rows.account, ...rows.factors }, notes, omitted: person.omitted }
}
const bringDevice = (changes: Partial<DjangoTotpDevice>, window = 1) => {
  const { user, notes } = bring({ totpDevices: [{ ...device, ...changes }] }, window)
  return { device: user!.devices[0], notes: notes.map(({ reason }) => reason), setupRequired: user!.setupRequired }
}

/** Counters that django-otp accepts at a time: `(int(now) - t0) // step + drift`, within its tolerance, later than `last_t`. */
function djangoTakes ({ t0, step, drift, tolerance, lastT }: DjangoTotpDevice, nowSeconds: number): number[] {
  const middle = Math.floor((Math.floor(nowSeconds) - t0) / step) + drift
  return Array.from({ length: 2 * tolerance + 1 }, (_, i) => middle - tolerance + i).filter((counter) => counter > lastT && counter >= 0)
}

t.test('T3 T4 within the window a device takes here, at every moment, the codes that it took there', (t) => {
  fc.assert(fc.property(
    fc.record({
      step: fc.constantFrom(30, 60, 15),
      t0: fc.integer({ min: -1_000_000, max: 1_000_000 }),
      drift: fc.integer({ min: -1, max: 1 }),
      digits: fc.constantFrom(6, 8),
      behind: fc.integer({ min: -3, max: 3 })
    }),
    fc.double({ min: 1_700_000_000, max: 1_900_000_000, noNaN: true }),
    ({ step, t0, drift, digits, behind }, nowSeconds) => {
      const lastT = Math.floor((nowSeconds - t0) / step) + behind
      const there = { ...device, step, t0, drift, digits, lastT }
      const { device: here } = bringDevice(there)
      const secret = Buffer.from(KEY, 'hex')
      for (let counter = lastT - 6; counter <= lastT + 6; counter++) {
        const device = { ...here!, lastStep: lastT, algorithm: 'SHA1', window: 1 } as const
        const check = checkTotp(secret, hotp(secret, counter, digits), nowSeconds, device)
        if (check.accepted !== djangoTakes(there, nowSeconds).includes(counter)) return false
      }
      return true
    }
    // One seed, because codes of different steps are sometimes equal.
  ), { seed: 20261123 })
  t.end()
})

t.test('T6 the secret is the phone\'s own, sealed for its row and user', (t) => {
  const { user } = bring({ totpDevices: [device] })
  const [here] = user!.devices
  t.notMatch(JSON.stringify(user), KEY)
  t.equal(seal.open(here!.secret, { table: 'otp_device', row: here!.id, userId: user!.id }).plain.toString('hex'), KEY)
  t.throws(() => seal.open(here!.secret, { table: 'otp_device', row: here!.id, userId: 'another' }))
  t.end()
})

/** [Django's device, OTP_WINDOW, t0 after the import, notes in the report] */
const drifts: Array<[Partial<DjangoTotpDevice>, number, number, RegExp[]]> = [
  [{ drift: 1 }, 1, -30, []],
  [{ drift: -1, t0: 100 }, 1, 130, []],
  [{ drift: 2 }, 1, 0, [/drift of 2 steps/]],
  [{ drift: -2 }, 2, 60, []],
  [{ drift: 1 }, 0, 0, [/drift of 1 steps/, /tolerance of 1 steps/]],
  [{ drift: 40, tolerance: 99 }, 1, 0, [/drift of 40/, /tolerance of 99/]]
]

t.test('T4 drift and tolerance beyond the window are dropped, and said', (t) => {
  for (const [changes, window, t0Seconds, said] of drifts) {
    const { device: here, notes } = bringDevice(changes, window)
    t.equal(here?.t0Seconds, t0Seconds)
    t.equal(notes.length, said.length)
    said.forEach((pattern, i) => t.match(notes[i], pattern))
  }
  t.end()
})

const impossible: Array<[Partial<DjangoTotpDevice>, RegExp]> = [
  [{ key: 'xyz' }, /not hexadecimal/], [{ key: '' }, /not hexadecimal/], [{ key: 'abc' }, /not hexadecimal/],
  [{ key: 'abcdef' }, /shorter than 80 bits/],
  [{ digits: 5 }, /5 digits/], [{ digits: 10 }, /10 digits/], [{ step: 0 }, /no time/],
  [{ t0: 2 ** 40 }, /out of range/], [{ lastT: 2 ** 40 }, /out of range/],
  [{ step: 1 }, /run out/], [{ step: 2, t0: -(2 ** 31 - 1) }, /run out/]
]

t.test('R6 who had a second factor there is not let in by the password alone here', (t) => {
  for (const [changes, why] of impossible) {
    const { device: here, notes, setupRequired } = bringDevice(changes)
    t.equal(here, undefined)
    t.match(notes[0], why)
    t.ok(setupRequired, 'staff must hand out a set-up code')
  }
  t.notOk(bring({ totpDevices: [device, { ...device, id: 2, digits: 5 }] }).user!.setupRequired, 'one of two is a second factor')
  t.notOk(bring({ totpDevices: [{ ...device, confirmed: false, digits: 5 }] }).user!.setupRequired, 'a pending one never was one')
  t.end()
})

t.test('when a code was last used there is shown here, unless it never can have been', (t) => {
  const lastUsed = (changes: Partial<DjangoTotpDevice>) => bringDevice(changes).device!.lastUsedAt?.toISOString() ?? null
  t.equal(lastUsed({ lastT: 59_000_000 }), '2026-02-02T02:40:00.000Z')
  t.equal(lastUsed({ lastT: -1 }), null)
  t.equal(lastUsed({ lastT: 2 ** 31 - 1, step: 32_767 }), null, 'a time that Postgres does not know')
  t.equal(bringDevice({ lastT: 2 ** 31 - 1 }).device!.lastStep, 2 ** 31 - 1, 'and no code is accepted, as there')
  t.end()
})

t.test('at most ten devices', (t) => {
  const totpDevices = Array.from({ length: 12 }, (_, i) => ({ ...device, id: i, key: `${KEY.slice(0, -2)}${10 + i}` }))
  const { user, notes } = bring({ totpDevices })
  t.equal(user!.devices.length, 10)
  t.equal(notes.length, 2)
  t.end()
})

t.test('R4 recovery codes come with a device alone; strange ones stay behind', (t) => {
  const staticTokens = ['eelfxvnr', 'EELF-XVNR', 'gfxdqiye', 'too-long-for-one', '12345678'].map((token) => ({ confirmed: true, token }))
  const withDevice = bring({
    totpDevices: [device], staticDevices: 1, staticTokens: [...staticTokens, { confirmed: false, token: '3cva4yli' }]
  })
  t.equal(withDevice.user!.codes.length, 2, 'one spelling of one code is one')
  t.match(withDevice.notes.map(({ reason }) => reason), [/^2 recovery codes stay behind/])
  t.notMatch(JSON.stringify(withDevice), /eelfxvnr|gfxdqiye|too-long/, 'neither a row nor a note says one')
  const lone = bring({ staticDevices: 1, staticTokens })
  t.equal(lone.user!.codes.length, 0)
  t.equal(lone.omitted.loneRecoveryDevices, 1)
  t.end()
})

t.test('profile, names, password', (t) => {
  t.match(
    bring({}).user,
    { email: 'ada@example.org', firstName: 'Ada', phone: '', powerAccountId: null, createdAt: joinedAt, passwordHash: '!' },
    'without a profile, the user\'s own row'
  )
  t.equal(bring({ username: 'x'.repeat(151) }).user, null)
  t.equal(bring({ username: '', email: '' }).user, null)
  t.equal(bring({ username: '' }).user!.username, 'ada@example.org', 'without a name there, the e-mail address')
  t.match(bring({ username: 'a\tb' }), { user: null, notes: [{ kind: 'user', reason: /control character/ }] }, 'nobody could log in by it')
  t.type(bring({ username: '𐐀'.repeat(150) }).user, 'object', 'characters are counted, not halves of them')
  t.match(bring({ password: 'md5$a$b' }), { user: { passwordHash: '!' }, notes: [{ kind: 'password', externalId: '7' }] })
  t.notMatch(JSON.stringify(bring({ password: 'md5$abcdef$b' }).notes), /abcdef/)
  t.end()
})
