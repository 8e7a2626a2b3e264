import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '../../src/core/passkeys/webauthn.js'
import type { SoftPasskey } from '../../src/testing/soft-passkey.js'
import { outcome } from './answers.js'
import { secretOf, stepAt, totp } from './authenticator.js'
import type { TestClock } from './clock.js'
import { answer as answerChallenge, confirm as confirmPasskey, newPasskey } from './passkeys.js'
import { expect, type Person } from './person.js'
import { SLOTS, type Step, type WhichAnswer } from './state-machine-steps.js'

/** Factor that is set up and not confirmed: one for each session. */
type Pending = { codes: string[], sinceSeconds: number } & (
  { kind: 'totp', secret: Buffer } | { kind: 'passkey', passkey: SoftPasskey, response: object, isUsedUp: boolean }
)
interface Challenge { options: PublicKeyCredentialRequestOptionsJSON, isUsedUp: boolean }
interface Slot { person: Person, pending: Pending | null, challenge: Challenge | null, parents: string[] }

interface PasskeyCreation { options: PublicKeyCredentialCreationOptionsJSON, recoveryCodes: string[] }

export interface WorldOptions {
  clock: TestClock
  /** Counts the results of each kind of step. */
  seen: Record<string, number>
}

/** A pending factor is replaced, with its codes, for at least this long. */
const PENDING_SECONDS = 590

/** One person in several sessions, and a model that knows only the proofs of each. Each step compares the service with it. */
export class World {
  readonly #clock: TestClock
  readonly #seen: Record<string, number>
  readonly slots: Slot[]
  /** Secrets of devices that an accepted code confirmed, each with the accepted steps. */
  confirmed: Array<{ secret: Buffer, steps: number[] }> = []
  /** Passkeys that an accepted registration confirmed. */
  passkeys: SoftPasskey[] = []
  /** Secrets of pending devices that another factor replaced: no code of theirs is accepted. */
  readonly #replaced: Buffer[] = []
  /** Answers of passkeys that were accepted: of registrations and log-ins. */
  readonly #used: { registrations: object[], assertions: object[] } = { registrations: [], assertions: [] }
  #elapsedSeconds = 0
  /** Valid recovery codes, and all that were ever issued. */
  recovery: string[] = []
  allRecovery: string[] = []
  accepted: string[] = []
  /** Sessions that an accepted code, a recovery code or a passkey verified. */
  readonly proven = new Set<unknown>()
  /** Those of them that a passkey verified. */
  readonly phishingResistant = new Set<unknown>()

  constructor (person: Person, { clock, seen }: WorldOptions) {
    this.#clock = clock
    this.#seen = seen
    this.slots = Array.from({ length: SLOTS }, () => ({ person: person.elsewhere(), pending: null, challenge: null, parents: [] }))
  }

  get isEnabled (): boolean {
    return this.confirmed.length + this.passkeys.length > 0
  }

  #check (holds: boolean, promise: string): void {
    if (!holds) throw new Error(promise)
  }

  async #code (requester: Slot, { of, offset, pick }: { of: string, offset: number, pick: number }): Promise<string> {
    if (of === 'accepted') return this.accepted[pick % (this.accepted.length || 1)] ?? '000000'
    const secretsOf = ({ pending }: Slot) => pending?.kind === 'totp' ? [pending.secret] : []
    const others = [...this.slots.flatMap(secretsOf), ...this.#replaced]
    const secret = of === 'own'
      ? secretsOf(requester)[0]
      : of === 'confirmed'
        ? this.confirmed[pick % (this.confirmed.length || 1)]?.secret
        : others[pick % (others.length || 1)]
    return secret === undefined ? '000000' : totp(secret, stepAt(await this.#clock.now()) + offset)
  }

  async take (s: Step): Promise<void> {
    if (s.do === 'wait') {
      this.#elapsedSeconds += s.seconds
      return await this.#clock.advance(s.seconds)
    }
    const requester = this.slots[s.slot]!
    const { person } = requester
    if (s.do !== 'login' && person.access === null) return
    const before = person.access === null ? null : person.claims()['sid']
    const result = await this.#do(s, requester, person)
    // A further proof keeps that of the passkey, also where the session moves.
    const isProof = ['verify', 'recover'].includes(s.do) && result.startsWith('200')
    if (isProof && this.phishingResistant.has(before)) this.phishingResistant.add(person.claims()['sid'])
    this.#seen[`${s.do} ${result}`] = (this.#seen[`${s.do} ${result}`] ?? 0) + 1
  }

  async #do (s: Exclude<Step, { do: 'wait' }>, requester: Slot, person: Person): Promise<string> {
    switch (s.do) {
      case 'login': {
        const answer = expect(200, await person.login())
        Object.assign(requester, { pending: null, challenge: null, parents: [] })
        this.#check(person.claims()['otp_device_id'] === null, 'a password alone verifies nothing')
        this.#check(
          answer.json().otpRequired === this.isEnabled,
          'login asks for a second factor if and only if one was confirmed'
        )
        return '200'
      }
      case 'create': {
        const answer = await person.request('POST', '/totp/create')
        if (answer.statusCode !== 201) return outcome(answer)
        const { otpUrl, recoveryCodes } = answer.json<{ otpUrl: string, recoveryCodes: string[] }>()
        const secret = secretOf(otpUrl)
        const replaced = requester.pending
        requester.pending = { kind: 'totp', secret, ...this.#begun(requester, recoveryCodes) }
        if (replaced?.kind === 'totp' && !replaced.secret.equals(secret)) this.#replaced.push(replaced.secret)
        this.#check(!this.confirmed.some((device) => device.secret.equals(secret)), 'a confirmed secret is not shown again')
        return '201'
      }
      case 'create passkey': {
        const answer = await person.request('POST', '/totp/passkeys/create', {})
        if (answer.statusCode !== 201) return outcome(answer)
        const { options, recoveryCodes } = answer.json<PasskeyCreation>()
        const passkey = newPasskey()
        const replaced = requester.pending
        const begun = this.#begun(requester, recoveryCodes)
        requester.pending = { kind: 'passkey', passkey, response: passkey.register(options), isUsedUp: false, ...begun }
        if (replaced?.kind === 'totp') this.#replaced.push(replaced.secret)
        return '201'
      }
      case 'confirm passkey': return await this.#confirmPasskey(requester, s.answer)
      case 'challenge': return await this.#challenge(requester)
      case 'use passkey': {
        if (s.asksFirst) await this.#challenge(requester)
        return await this.#usePasskey(requester, s.answer)
      }
      case 'verify': return await this.#verify(requester, await this.#code(requester, s.code))
      case 'recover': {
        const printed = s.pick % 2 === 0 ? this.recovery : this.allRecovery
        const code = printed[s.pick % (printed.length || 1)] ?? '0000-0000-0000-0000-0000-0000'
        const answer = await person.recover(code)
        if (answer.statusCode !== 200) return outcome(answer)
        this.#check(this.recovery.includes(code), 'only a recovery code that lives, and was not used, is accepted')
        this.recovery = this.recovery.filter((other) => other !== code)
        this.#check(answer.json().recoveryCodesLeft === this.recovery.length, 'the number left is told')
        this.#verified(requester)
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
        Object.assign(this, { confirmed: [], passkeys: [], recovery: [] })
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
    const nowStep = stepAt(await this.#clock.now())
    const answer = await person.verify(code)
    if (answer.statusCode !== 200) return outcome(answer)
    const isNear = (secret: Buffer) => [nowStep - 1, nowStep, nowStep + 1].find((near) => totp(secret, near) === code)
    const used = this.confirmed.find(({ secret, steps }) => (isNear(secret) ?? -1) > Math.max(-1, ...steps))
    const { pending } = requester
    const confirms = used === undefined && pending?.kind === 'totp' && isNear(pending.secret) !== undefined
    this.#check(
      used !== undefined || confirms,
      'a code is accepted once, within its window, of a device that is the user\'s or the session\'s own'
    )
    if (used !== undefined) used.steps.push(isNear(used.secret)!)
    if (confirms) {
      this.#confirmed(pending.codes)
      this.confirmed.push({ secret: pending.secret, steps: [isNear(pending.secret)!] })
    }
    this.accepted.push(code)
    this.#verified(requester)
    return confirms ? '200 confirmed' : '200 verified'
  }

  /** Checks that the session may begin a factor, and gets the codes of a pending one again. */
  #begun ({ person, pending }: Slot, codes: string[]): { codes: string[], sinceSeconds: number } {
    this.#check(!this.isEnabled || this.proven.has(person.claims()['sid']), 'only a verified session adds a factor to others')
    this.#check(codes.length === (this.isEnabled ? 0 : 5), 'codes come with the first factor')
    const isReplaced = pending !== null && this.#elapsedSeconds - pending.sinceSeconds < PENDING_SECONDS
    this.#check(!isReplaced || pending.codes.join() === codes.join(), 'a pending factor is replaced with the same codes')
    this.allRecovery.push(...codes)
    return { codes, sinceSeconds: isReplaced ? pending.sinceSeconds : this.#elapsedSeconds }
  }

  /** A factor was confirmed: with the first one come the recovery codes, and what others began is gone. */
  #confirmed (codes: string[]): void {
    if (!this.isEnabled) this.recovery = codes
    for (const other of this.slots) other.pending = null
  }

  #verified ({ person }: Slot): void {
    this.proven.add(person.claims()['sid'])
  }

  #verifiedByPasskey (requester: Slot): void {
    this.#verified(requester)
    this.phishingResistant.add(requester.person.claims()['sid'])
  }

  /** The session whose challenge is answered. */
  #whose (requester: Slot, { of, pick }: WhichAnswer): Slot {
    const others = this.slots.filter((slot) => slot !== requester)
    return of === 'own' ? requester : others[pick % others.length]!
  }

  async #confirmPasskey (requester: Slot, which: WhichAnswer): Promise<string> {
    const { pending } = this.#whose(requester, which)
    const { registrations } = this.#used
    const response = which.of === 'accepted'
      ? registrations[which.pick % (registrations.length || 1)]
      : pending?.kind === 'passkey' ? pending.response : undefined
    if (response === undefined) return 'nothing to send'
    const answer = await confirmPasskey(requester.person, response)
    const own = requester.pending?.kind === 'passkey' ? requester.pending : null
    const isGood = own !== null && !own.isUsedUp && own.response === response
    if (own !== null) own.isUsedUp = true
    if (answer.statusCode !== 200) return outcome(answer)
    this.#check(isGood, 'a passkey is confirmed once, by the answer to the challenge of its own session')
    this.#confirmed(own!.codes)
    this.passkeys.push(own!.passkey)
    registrations.push(response)
    this.#verifiedByPasskey(requester)
    return '200'
  }

  async #challenge (requester: Slot): Promise<string> {
    const answer = await requester.person.request('POST', '/totp/passkeys/challenge')
    if (answer.statusCode !== 200) return outcome(answer)
    const { options } = answer.json<{ options: PublicKeyCredentialRequestOptionsJSON }>()
    const own = this.passkeys.map(({ id }) => id)
    const named = options.allowCredentials.map(({ id }) => id)
    this.#check(own.toSorted().join() === named.toSorted().join(), "the user's own passkeys are named")
    requester.challenge = { options, isUsedUp: false }
    return '200'
  }

  async #usePasskey (requester: Slot, which: WhichAnswer): Promise<string> {
    const { challenge } = this.#whose(requester, which)
    const { assertions } = this.#used
    const passkey = which.isStranger ? newPasskey() : this.passkeys[which.pick % (this.passkeys.length || 1)]
    const response = which.of === 'accepted'
      ? assertions[which.pick % (assertions.length || 1)]
      : challenge === null || passkey === undefined
        ? undefined
        : passkey.authenticate({ ...challenge.options, allowCredentials: [{ id: passkey.id, type: 'public-key' }] })
    if (response === undefined) return 'nothing to send'
    const own = requester.challenge
    const isGood = own !== null && !own.isUsedUp && own === challenge && which.of === 'own' && !which.isStranger
    const answer = await answerChallenge(requester.person, response)
    if (own !== null) own.isUsedUp = true
    if (answer.statusCode !== 200) return outcome(answer)
    this.#check(isGood, 'a challenge is answered once, in its own session, by a passkey of the user')
    assertions.push(response)
    requester.pending = null
    this.#verifiedByPasskey(requester)
    return '200'
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
      const { sid } = person.claims()
      const isProven = this.proven.has(sid)
      this.#check(otpDeviceId === null || isProven, 'a verified session has had a code accepted')
      if (!this.isEnabled) {
        this.#check(answer.statusCode === 200, `no user is locked out without a confirmed factor: ${answer.body}`)
      } else {
        this.#check(answer.statusCode === (isProven ? 200 : 403), `the guard asks for the missing proof: ${answer.body}`)
      }
      const strict = await person.request('GET', '/session?phishingResistant')
      const isByPasskey = this.isEnabled && this.phishingResistant.has(sid)
      this.#check(strict.statusCode === (isByPasskey ? 200 : 403), `phishing-resistant is a passkey's proof alone: ${strict.body}`)
      const status = (await person.request('GET', '/totp/status')).json<{ isOtpEnabled: boolean, recoveryCodesLeft: number }>()
      this.#check(status.isOtpEnabled === this.isEnabled, 'status tells whether it is on')
      this.#check(status.recoveryCodesLeft === this.recovery.length, 'and how many codes are left')
    }
  }
}
