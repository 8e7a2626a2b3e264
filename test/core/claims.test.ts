import t from 'tap'
import { claimsOf, isClaims, isTimely } from '../../src/core/claims.js'
import type { SessionFacts } from '../../src/core/session.js'

const settings = { issuer: 'us', audience: 'them', accessSeconds: 300, refreshSeconds: 86_400 }
const session: SessionFacts = {
  userId: 'u1',
  sessionId: 's1',
  amr: ['pwd', 'otp', 'mfa'],
  otpRequired: true,
  otpDeviceId: 'd1',
  otpTime: 1_800_000_100,
  otpDeadline: null,
  authTime: 1_800_000_000,
  expiresAt: 1_802_592_000,
  generation: 3,
  issuedAt: 1_800_000_200
}

/** [seconds until the session's end after the rotation, lifetime of its access token, of its refresh token] */
const lifetimes = [
  [2_591_800, 300, 86_400], [86_400, 300, 86_400], [86_399, 300, 86_399], [300, 300, 300], [299, 299, 299], [1, 1, 1]
] as const

t.test('J3 a token lives as long as the setting says, or ends with the session where that is sooner', async (t) => {
  for (const [left, access, refresh] of lifetimes) {
    const ending = { ...session, expiresAt: session.issuedAt + left }
    for (const [kind, seconds] of [['access', access], ['refresh', refresh]] as const) {
      const { iat, exp } = claimsOf(kind, ending, settings)
      t.equal(exp - iat, seconds, `${kind} with ${left} s left`)
      t.equal(iat, session.issuedAt)
    }
  }
})

t.test('J4 what the session has proven is what its tokens say', async (t) => {
  for (const kind of ['access', 'refresh'] as const) {
    t.match(claimsOf(kind, session, settings), {
      sub: 'u1',
      sid: 's1',
      amr: ['pwd', 'otp', 'mfa'],
      auth_time: 1_800_000_000,
      otp_time: 1_800_000_100,
      otp_device_id: 'd1',
      otp_required: true
    })
  }
})

t.test('K4 a passkey is named with its time, and nothing else is', async (t) => {
  const { acr, phr_time: phrTime } = claimsOf('access', { ...session, phrTime: 1_800_000_050 }, settings)
  t.same({ acr, phrTime }, { acr: 'phr', phrTime: 1_800_000_050 })
  for (const without of [session, { ...session, phrTime: null }]) {
    const claims = claimsOf('access', without, settings)
    t.notOk('acr' in claims)
    t.notOk('phr_time' in claims)
  }
})

/** [deadline after the tokens were issued, device, otp_required] of a user without a device at the start of the session */
const deadlines = [[null, null, false], [1, null, false], [0, null, true], [-86_400, null, true], [-86_400, 'd1', false]] as const

t.test('T9 a session that opens only the set-up says so to whoever verifies its token by themselves', async (t) => {
  for (const [after, otpDeviceId, expected] of deadlines) {
    const facts = { ...session, otpRequired: false, otpDeviceId, otpDeadline: after === null ? null : session.issuedAt + after }
    t.equal(claimsOf('access', facts, settings).otp_required, expected, `${after} ${otpDeviceId}`)
  }
})

t.test('J6 asked twice the same token; another generation, kind, proof or session another jti', async (t) => {
  t.same(claimsOf('refresh', session, settings), claimsOf('refresh', { ...session }, settings))
  const others = [
    session, { ...session, generation: 4 }, { ...session, sessionId: 's2' },
    { ...session, otpTime: 1_800_000_190 }, { ...session, otpTime: null }, { ...session, phrTime: 1_800_000_100 }
  ]
  const ids = others.flatMap((facts) => [claimsOf('access', facts, settings).jti, claimsOf('refresh', facts, settings).jti])
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every((id) => id.length >= 22), '128 bits')
})

/** Wrong values of each claim. `undefined` leaves it out. */
const wrong: Record<string, readonly unknown[]> = {
  iss: [undefined, '', null, 1, ['us']],
  aud: [undefined, '', null, 1, ['them']],
  sub: [undefined, '', null, 1, {}],
  sid: [undefined, '', null, 1],
  jti: [undefined, '', null, 1],
  iat: [undefined, null, '1800000000', 1.5, NaN, Infinity, 2 ** 60],
  exp: [undefined, null, '1800000000', 1.5, NaN, Infinity, 2 ** 60],
  auth_time: [undefined, null, '1800000000', 1.5],
  amr: [undefined, null, 'pwd', {}],
  otp_required: [undefined, null, 'true', 1],
  otp_device_id: [undefined, 1, {}, []],
  otp_time: [undefined, '1', 1.5],
  phr_time: [null, '1', 1.5],
  token_type: [undefined, null, 'refresh', 'Access', ['access']]
}

t.test('J2 each claim must be there and of its type', async (t) => {
  const access = claimsOf('access', session, settings)
  t.ok(isClaims('access', access))
  for (const [claim, values] of Object.entries(wrong)) {
    for (const value of values) t.notOk(isClaims('access', { ...access, [claim]: value }), `${claim}: ${String(value)}`)
  }
  for (const payload of [null, undefined, 'text', 1, true, [], [access]]) t.notOk(isClaims('access', payload))
  for (const gen of [undefined, null, '3', 1.5]) {
    t.notOk(isClaims('refresh', { ...claimsOf('refresh', session, settings), gen }), `gen: ${gen}`)
  }
})

t.test('J1 one kind never passes as the other', async (t) => {
  t.notOk(isClaims('refresh', claimsOf('access', session, settings)))
  t.notOk(isClaims('access', claimsOf('refresh', session, settings)))
})

/** [iat, exp, accepted?] at 1000 */
const moments = [
  [990, 1300, true], [700, 1000, false], [700, 1000.5, true], [1060, 1360, true], [1061, 1361, false], [2000, 900, false]
] as const

t.test('J3 expired at exp, not before; issued at most 60 s ahead of our clock', async (t) => {
  for (const [iat, exp, accepted] of moments) t.equal(isTimely({ iat, exp }, 1000), accepted, `iat ${iat} exp ${exp}`)
})
