import fc from 'fast-check'
import t from 'tap'
import { outcome } from './helpers/answers.js'
import { freshApp } from './helpers/app.js'
import { secretOf, stepAt, totp } from './helpers/authenticator.js'
import { expect, signUp, type Person } from './helpers/person.js'

/*
 * Runs random steps in random order, from three sessions of one person. After each step, compares the service with a model that
 * knows only the proofs of each session. A session is never verified without an accepted code, no code is accepted twice, and
 * an unconfirmed device never locks the user out.
 */

const SLOTS = 3
/** About six seconds. A longer search: STATE_MACHINE_RUNS=500 npm test -- test/state-machine.test.ts */
const RUNS = Number(process.env['STATE_MACHINE_RUNS'] ?? 9)
/** A busy machine completes fewer runs. */
const MOST_MS_A_RUN = 3_000
t.setTimeout(RUNS * MOST_MS_A_RUN + 30_000)
const { app, clock } = await freshApp(t)
await clock.freeze()

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
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('login' as const), slot }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), slot }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('verify' as const), slot, code: whichCode }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('recover' as const), slot, pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('regenerate' as const, 'rollback' as const, 'delete' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refresh' as const), slot, old: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(30, 30, 30, 30, 60, 150, 310, 610) }) }
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** Half of the runs begin with the second factor on, because random steps rarely reach it early. */
const enrolment: Step[] = [{ do: 'create', slot: 0 }, { do: 'verify', slot: 0, code: { of: 'own', offset: 0, pick: 0 } }]

/** First run of each search: steps that a short search might miss. */
const wellTrodden: Step[] = [
  { do: 'wait', seconds: 30 },
  { do: 'verify', slot: 1, code: { of: 'confirmed', offset: 0, pick: 0 } },
  { do: 'verify', slot: 1, code: { of: 'accepted', offset: 0, pick: 0 } },
  { do: 'login', slot: 2 },
  { do: 'verify', slot: 2, code: { of: 'confirmed', offset: 0, pick: 0 } },
  { do: 'verify', slot: 2, code: { of: 'wrong', offset: 0, pick: 0 } },
  { do: 'recover', slot: 2, pick: 0 },
  { do: 'refresh', slot: 2, old: false }
]

interface Slot { person: Person, pending: { secret: Buffer, codes: string[] } | null, parents: string[] }

/** Counts of events over all runs. A property that was never exercised proves nothing. */
const seen: Record<string, number> = {}
let runs = 0

class World {
  readonly slots: Slot[]
  /** Secrets of devices that an accepted code confirmed, each with the accepted steps. */
  confirmed: Array<{ secret: Buffer, steps: number[] }> = []
  /** Valid recovery codes, and all that were ever issued. */
  recovery: string[] = []
  allRecovery: string[] = []
  accepted: string[] = []
  /** Sessions that an accepted code or a recovery code verified. */
  readonly proven = new Set<unknown>()

  constructor (person: Person) {
    this.slots = Array.from({ length: SLOTS }, () => ({ person: person.elsewhere(), pending: null, parents: [] }))
  }

  #check (holds: boolean, promise: string): void {
    if (!holds) throw new Error(promise)
  }

  async code (requester: Slot, { of, offset, pick }: { of: string, offset: number, pick: number }): Promise<string> {
    if (of === 'accepted') return this.accepted[pick % (this.accepted.length || 1)] ?? '000000'
    const others = this.slots.flatMap(({ pending }) => pending === null ? [] : [pending.secret])
    const secret = of === 'own'
      ? requester.pending?.secret
      : of === 'confirmed'
        ? this.confirmed[pick % (this.confirmed.length || 1)]?.secret
        : others[pick % (others.length || 1)]
    return secret === undefined ? '000000' : totp(secret, stepAt(await clock.now()) + offset)
  }

  async take (s: Step): Promise<void> {
    if (s.do === 'wait') return await clock.advance(s.seconds)
    const requester = this.slots[s.slot]!
    const { person } = requester
    if (s.do !== 'login' && person.access === null) return
    const result = await this.#do(s, requester, person)
    seen[`${s.do} ${result}`] = (seen[`${s.do} ${result}`] ?? 0) + 1
  }

  async #do (s: Exclude<Step, { do: 'wait' }>, requester: Slot, person: Person): Promise<string> {
    switch (s.do) {
      case 'login': {
        const answer = expect(200, await person.login())
        requester.pending = null
        requester.parents = []
        this.#check(person.claims()['otp_device_id'] === null, 'a password alone verifies nothing')
        this.#check(
          answer.json().otpRequired === (this.confirmed.length > 0),
          'login asks for a second factor if and only if one was confirmed'
        )
        return '200'
      }
      case 'create': {
        const answer = await person.request('POST', '/totp/create')
        if (answer.statusCode !== 201) return outcome(answer)
        this.#check(
          this.confirmed.length === 0 || this.proven.has(person.claims()['sid']),
          'only a verified session adds a device to others'
        )
        const { otpUrl, recoveryCodes } = answer.json<{ otpUrl: string, recoveryCodes: string[] }>()
        this.#check(recoveryCodes.length === (this.confirmed.length === 0 ? 5 : 0), 'codes come with the first device')
        requester.pending = { secret: secretOf(otpUrl), codes: recoveryCodes }
        this.#check(!this.confirmed.some(({ secret }) => secret.equals(requester.pending!.secret)), 'a confirmed secret is not shown again')
        this.allRecovery.push(...recoveryCodes)
        return '201'
      }
      case 'verify': return await this.#verify(requester, await this.code(requester, s.code))
      case 'recover': {
        const printed = s.pick % 2 === 0 ? this.recovery : this.allRecovery
        const code = printed[s.pick % (printed.length || 1)] ?? '0000-0000-0000-0000-0000-0000'
        const answer = await person.recover(code)
        if (answer.statusCode !== 200) return outcome(answer)
        this.#check(this.recovery.includes(code), 'only a recovery code that lives, and was not used, is accepted')
        this.recovery = this.recovery.filter((other) => other !== code)
        this.#check(answer.json().recoveryCodesLeft === this.recovery.length, 'the number left is told')
        this.proven.add(person.claims()['sid'])
        requester.pending = null
        return '200'
      }
      case 'regenerate': {
        const answer = await person.request('POST', '/totp/recovery_code/create')
        if (answer.statusCode !== 201) return outcome(answer)
        this.#check(this.proven.has(person.claims()['sid']), 'only a verified session regenerates')
        this.recovery = answer.json<string[]>()
        this.allRecovery.push(...this.recovery)
        return '201'
      }
      case 'rollback': {
        const answer = await person.request('DELETE', '/totp/rollback')
        if (answer.statusCode === 200) requester.pending = null
        return outcome(answer)
      }
      case 'delete': {
        const answer = await person.request('DELETE', '/totp/delete')
        if (answer.statusCode !== 200) return outcome(answer)
        this.#check(this.proven.has(person.claims()['sid']), 'only a verified session switches off')
        this.confirmed = []
        this.recovery = []
        for (const other of this.slots) other.pending = null
        Object.assign(person, answer.json())
        return '200'
      }
      case 'refresh': {
        const before = person.claims()
        const token = s.old ? requester.parents[0] ?? person.refresh : person.refresh
        requester.parents.push(person.refresh!)
        const answer = await person.refreshTokens(token)
        if (answer.statusCode !== 200) return outcome(answer)
        const after = person.claims()
        this.#check(after['otp_device_id'] === null || this.proven.has(after['sid']), 'refreshing verifies nothing')
        this.#check(s.old || (after['otp_time'] === before['otp_time'] && after['sid'] === before['sid']), 'nor renews a proof')
        return '200'
      }
    }
  }

  async #verify (requester: Slot, code: string): Promise<string> {
    const { person } = requester
    const nowStep = stepAt(await clock.now())
    const answer = await person.verify(code)
    if (answer.statusCode !== 200) return outcome(answer)
    const isNear = (secret: Buffer) => [nowStep - 1, nowStep, nowStep + 1].find((near) => totp(secret, near) === code)
    const used = this.confirmed.find(({ secret, steps }) => (isNear(secret) ?? -1) > Math.max(-1, ...steps))
    const confirms = used === undefined && requester.pending !== null && isNear(requester.pending.secret) !== undefined
    this.#check(
      used !== undefined || confirms,
      'a code is accepted once, within its window, of a device that is the user\'s or the session\'s own'
    )
    if (used !== undefined) used.steps.push(isNear(used.secret)!)
    if (confirms) {
      const { secret, codes } = requester.pending!
      if (this.confirmed.length === 0) this.recovery = codes
      this.confirmed.push({ secret, steps: [isNear(secret)!] })
      for (const other of this.slots) other.pending = null
    }
    this.accepted.push(code)
    this.proven.add(person.claims()['sid'])
    return confirms ? '200 confirmed' : '200 verified'
  }

  /** Checks the promises for every session. */
  async check (): Promise<void> {
    for (const { person } of this.slots) {
      if (person.access === null) continue
      const answer = await person.request('GET', '/account')
      if (answer.statusCode === 401) continue
      const { otpDeviceId } = answer.statusCode === 200
        ? (await person.request('GET', '/session')).json<{ otpDeviceId: string | null }>()
        : { otpDeviceId: null }
      const isProven = this.proven.has(person.claims()['sid'])
      this.#check(otpDeviceId === null || isProven, 'a verified session has had a code accepted')
      if (this.confirmed.length === 0) {
        this.#check(answer.statusCode === 200, `no user is locked out without a confirmed device: ${answer.body}`)
      } else {
        this.#check(answer.statusCode === (isProven ? 200 : 403), `the guard asks for the missing proof: ${answer.body}`)
      }
      const status = (await person.request('GET', '/totp/status')).json<{ isOtpEnabled: boolean, recoveryCodesLeft: number }>()
      this.#check(status.isOtpEnabled === (this.confirmed.length > 0), 'status tells whether it is on')
      this.#check(status.recoveryCodesLeft === this.recovery.length, 'and how many codes are left')
    }
  }
}

t.test('T2 T7 T9 T11 R2 R4 R6 anything in any order', async (t) => {
  const someSteps = fc.array(step, { minLength: 10, maxLength: 60, size: 'max' })
  await fc.assert(fc.asyncProperty(fc.boolean(), someSteps, async (isEnrolled, steps) => {
    const world = new World(await signUp(app, `user${runs++}`))
    for (const { person } of world.slots) expect(200, await person.login())
    for (const s of [...(isEnrolled ? enrolment : []), ...steps]) {
      await world.take(s)
      await world.check()
    }
    // A user without a confirmed device can always log in with the password.
    if (world.confirmed.length > 0) return
    const last = world.slots[0]!.person.elsewhere()
    expect(200, await last.login())
    expect(200, await last.request('GET', '/account'))
  }), {
    numRuns: RUNS,
    examples: [[true, wellTrodden]],
    interruptAfterTimeLimit: RUNS * MOST_MS_A_RUN,
    markInterruptAsFailure: false,
    endOnFailure: false
  })
  t.comment(`${runs} runs: ${JSON.stringify(seen)}`)
  for (const reached of [
    'verify 200 confirmed', 'verify 200 verified', 'recover 200', 'create 201', 'refresh 200', 'verify 400 OTP_INVALID'
  ]) {
    t.ok((seen[reached] ?? 0) > 0, `${reached}: ${seen[reached] ?? 0} times`)
  }
})
