import fc from 'fast-check'

/** Sessions of the person. */
export const SLOTS = 3

const slot = fc.nat({ max: SLOTS - 1 })
/** The code to send: of which device, how many steps from now; or one that was accepted before; or a wrong one. */
const whichCode = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      of: fc.constantFrom('own', 'confirmed', 'other'), offset: fc.constantFrom(-2, -1, 0, 0, 0, 1, 2), pick: fc.nat()
    })
  },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('accepted'), offset: fc.constant(0), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('wrong'), offset: fc.constant(0), pick: fc.nat() }) }
)
/** The session whose challenge is answered, or an answer that was accepted before; and a passkey of the user or of a stranger. */
const whichAnswer = fc.record({
  of: fc.constantFrom('own', 'own', 'own', 'own', 'other', 'accepted'),
  isStranger: fc.constantFrom(false, false, false, true),
  pick: fc.nat()
})
export const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('login' as const), slot }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), slot }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('verify' as const), slot, code: whichCode }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('create passkey' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('confirm passkey' as const), slot, answer: whichAnswer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('challenge' as const), slot }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('use passkey' as const), slot, answer: whichAnswer, asksFirst: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('recover' as const), slot, pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('regenerate' as const, 'rollback' as const, 'delete' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refresh' as const), slot, old: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(30, 30, 30, 30, 60, 150, 310, 610) }) }
)
export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
export type WhichAnswer = typeof whichAnswer extends fc.Arbitrary<infer A> ? A : never

const own: WhichAnswer = { of: 'own', isStranger: false, pick: 0 }
const ownCode = { of: 'own', offset: 0, pick: 0 } as const

/** Most runs begin with a second factor, because random steps rarely reach it early. */
export const beginnings: Readonly<Record<'nothing' | 'totp' | 'passkey' | 'both', Step[]>> = {
  nothing: [],
  totp: [{ do: 'create', slot: 0 }, { do: 'verify', slot: 0, code: ownCode }],
  passkey: [{ do: 'create passkey', slot: 0 }, { do: 'confirm passkey', slot: 0, answer: own }],
  both: [
    { do: 'create', slot: 0 }, { do: 'verify', slot: 0, code: ownCode }, { do: 'create passkey', slot: 0 },
    { do: 'confirm passkey', slot: 0, answer: own }
  ]
}

/** First run of each search: steps that a short search might miss. */
export const wellTrodden: Step[] = [
  { do: 'wait', seconds: 30 },
  { do: 'login', slot: 1 },
  { do: 'verify', slot: 1, code: { of: 'confirmed', offset: 0, pick: 0 } },
  { do: 'verify', slot: 1, code: { of: 'accepted', offset: 0, pick: 0 } },
  { do: 'login', slot: 2 },
  { do: 'verify', slot: 2, code: { of: 'confirmed', offset: 0, pick: 0 } },
  { do: 'verify', slot: 2, code: { of: 'wrong', offset: 0, pick: 0 } },
  { do: 'challenge', slot: 2 },
  { do: 'use passkey', slot: 2, answer: own, asksFirst: false },
  { do: 'use passkey', slot: 2, answer: { ...own, of: 'accepted' }, asksFirst: false },
  { do: 'login', slot: 1 },
  { do: 'challenge', slot: 2 },
  { do: 'use passkey', slot: 1, answer: { ...own, of: 'other', pick: 1 }, asksFirst: false },
  { do: 'challenge', slot: 1 },
  { do: 'use passkey', slot: 1, answer: { ...own, isStranger: true }, asksFirst: false },
  { do: 'recover', slot: 1, pick: 0 },
  { do: 'refresh', slot: 1, old: false },
  { do: 'create', slot: 1 },
  { do: 'create passkey', slot: 1 },
  { do: 'verify', slot: 1, code: ownCode }
]
