import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit'
import type { OtpMethod } from '../../src/core/refusals.js'
import { ApiError } from './api.js'
import { CsElement, define, duration, LITTLE_SECONDS, submitted } from './element.js'
import { fill } from './messages/index.js'
import type { SessionAnswer } from './types.js'
import { hasPasskeys, usePasskey } from './webauthn.js'

interface Status { methods: readonly OtpMethod[] }
interface PasskeyChallenge { options: PublicKeyCredentialRequestOptionsJSON }

/** Path of the operation that judges each method. */
const PATHS = { totp: '/login', passkey: '/passkeys/login', recovery_code: '/recovery_code/login' } as const

/** Ends are known to the second: within this time, a later end may look the same. */
const SAME_END_MS = 2_000

/** Verifies the session with a code, a passkey or a recovery code. */
export class CsChallenge extends CsElement {
  static override properties: PropertyDeclarations = {
    methods: { attribute: false },
    expiresAt: { attribute: 'expires-at' },
    extend: { attribute: false },
    proves: { attribute: false },
    method: { state: true },
    offered: { state: true },
    lockedUntil: { state: true },
    nextCodeAt: { state: true },
    nowMs: { state: true }
  }

  declare methods: readonly OtpMethod[] | undefined
  declare expiresAt: string | null
  declare extend: (() => Promise<string | null>) | undefined
  /** True where it asks for a proof inside another element: a user without a second factor gives the password. */
  declare proves: boolean
  /** The method that is shown. */
  declare private method: OtpMethod | 'password' | null
  declare private offered: readonly OtpMethod[] | null
  /** Milliseconds. */
  declare private lockedUntil: number
  declare private nextCodeAt: number
  declare private nowMs: number
  #clock: ReturnType<typeof setInterval> | undefined
  /** Time since which the end is known. */
  #endSinceMs = 0

  constructor () {
    super()
    Object.assign(this, { expiresAt: null, proves: false, method: null, offered: null, lockedUntil: 0, nextCodeAt: 0, nowMs: Date.now() })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    this.#clock = setInterval(() => { this.#tick() }, 1000)
    void this.#load()
  }

  protected override willUpdate (changed: PropertyValues): void {
    if (changed.has('expiresAt')) this.#endSinceMs = Date.now()
  }

  override disconnectedCallback (): void {
    super.disconnectedCallback()
    clearInterval(this.#clock)
  }

  /** Renders once a second only while a time runs. */
  #tick (): void {
    const before = this.nowMs
    const now = Date.now()
    const isRunning = this.lockedUntil > before || this.nextCodeAt > before || this.expiresAt !== null
    if (!isRunning) return
    if (this.lockedUntil > before && this.lockedUntil <= now) this.notice = this.t.unlocked
    if (this.nextCodeAt > before && this.nextCodeAt <= now) Object.assign(this, { fault: '', notice: this.t.nextCodeNow })
    this.nowMs = now
  }

  async #load (): Promise<void> {
    await this.attempt(async () => {
      // The element may get its methods in the same turn in which it is connected.
      await this.updateComplete
      this.offered = this.methods ?? (await this.call<Status>('GET', '/status')).methods
      this.#show(this.offered.find((method) => this.#isUsable(method)) ?? (this.proves ? 'password' : null))
    })
  }

  #isUsable (method: OtpMethod): boolean {
    return method in PATHS && (method !== 'passkey' || hasPasskeys())
  }

  #show (method: OtpMethod | 'password' | null): void {
    Object.assign(this, { method, fault: '', notice: '' })
    void this.focusOn('input, button.main')
  }

  protected override content (): TemplateResult {
    const { t, method, offered } = this
    const others = (offered ?? []).filter((other) => other !== method && this.#isUsable(other))
    return html`<div class="stack">
      <h2 tabindex="-1">${this.proves ? t.proofTitle : t.challengeTitle}</h2>
      ${method === null && offered !== null ? html`<p>${t.noMethod}</p>` : nothing}
      ${method === 'totp' ? this.#code() : nothing}
      ${method === 'passkey' ? this.#passkey() : nothing}
      ${method === 'recovery_code' ? this.#recoveryCode() : nothing}
      ${method === 'password' ? this.#password() : nothing}
      ${this.#deadline()}
      ${others.map((other) => html`<button type="button" class="plain" ?disabled=${this.busy}
        @click=${() => { this.#show(other) }}>${t[`use_${other}`]}</button>`)}
    </div>`
  }

  #code (): TemplateResult {
    const { t } = this
    const lockedSeconds = (this.lockedUntil - this.nowMs) / 1000
    const waitSeconds = (this.nextCodeAt - this.nowMs) / 1000
    return html`<form @submit=${(event: SubmitEvent) => { this.#send('totp', submitted(event, 'code')) }}>
      <div class="field">
        <label for="code">${t.codeLabel}</label>
        <input id="code" name="code" class="code" dir="ltr" inputmode="numeric" autocomplete="one-time-code" required
          aria-describedby="code-hint" ?disabled=${lockedSeconds > 0}>
        <span id="code-hint" class="muted small">${t.codeHint}</span>
      </div>
      ${lockedSeconds > 0 ? html`<p role="timer" class="timer">${fill(t.lockedFor, { time: duration(lockedSeconds) })}</p>` : nothing}
      ${waitSeconds > 0 ? html`<p role="timer" class="timer muted">${fill(t.nextCodeIn, { time: duration(waitSeconds) })}</p>` : nothing}
      <button class="main" ?disabled=${this.busy || lockedSeconds > 0}>${t.verify}</button>
    </form>`
  }

  #passkey (): TemplateResult {
    const { t } = this
    return html`<p>${t.passkeyText}</p>
      <button type="button" class="main" ?disabled=${this.busy} @click=${() => { this.#sendPasskey() }}>${t.use_passkey}</button>`
  }

  #recoveryCode (): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => { this.#send('recovery_code', submitted(event, 'recovery')) }}>
      <div class="field">
        <label for="recovery">${t.recoveryLabel}</label>
        <input id="recovery" name="recovery" dir="ltr" autocomplete="off" autocapitalize="characters" spellcheck="false" required
          aria-describedby="recovery-hint">
        <span id="recovery-hint" class="muted small">${t.recoveryHint}</span>
      </div>
      <button class="main" ?disabled=${this.busy}>${t.verify}</button>
    </form>`
  }

  #password (): TemplateResult {
    const { t } = this
    const { askPassword } = this.settings
    if (askPassword === undefined) return html`<p>${t.signInAgain}</p>`
    return html`<form @submit=${(event: SubmitEvent) => {
        const password = submitted(event, 'password')
        void this.attempt(async () => {
          await askPassword(password)
          this.fire('cs-verified', { method: 'password' })
        })
      }}>
      <div class="field">
        <label for="password">${t.passwordLabel}</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required>
      </div>
      <button class="main" ?disabled=${this.busy}>${t.verify}</button>
    </form>`
  }

  /** Shows how long the session waits, and says when it is nearly over. */
  #deadline (): unknown {
    const { t, expiresAt, extend } = this
    if (expiresAt === null) return nothing
    const seconds = (Date.parse(expiresAt) - this.nowMs) / 1000
    if (seconds <= 0) {
      return html`<p role="alert">${t.challengeOver}</p>
        <button type="button" class="quiet" @click=${() => { this.fire('cs-ended', { code: 'SESSION_ENDED' }) }}>${t.startAgain}</button>`
    }
    return html`<div class="row small muted">
      <span class="timer" role="timer">${fill(t.challengeUntil, { time: duration(seconds) })}</span>
      <span class="sr" role="status">${seconds < LITTLE_SECONDS ? t.challengeSoonOver : ''}</span>
      ${extend === undefined
        ? nothing
        : html`<button type="button" class="plain" ?disabled=${this.busy} @click=${() => { this.#extend(extend, expiresAt) }}>
          ${t.moreTime}</button>`}
    </div>`
  }

  #extend (extend: () => Promise<string | null>, before: string): void {
    void this.attempt(async () => {
      const expiresAt = await extend() ?? before
      const isLast = Date.parse(expiresAt) <= Date.parse(before) && Date.now() - this.#endSinceMs > SAME_END_MS
      Object.assign(this, { expiresAt, nowMs: Date.now() })
      this.notice = isLast ? this.t.challengeLast : this.t.challengeExtended
    })
  }

  #send (method: 'totp' | 'recovery_code', token: string): void {
    void this.attempt(async () => { this.#accept(await this.call<SessionAnswer>('POST', PATHS[method], { token }), method) })
  }

  #sendPasskey (): void {
    void this.attempt(async () => {
      const { options } = await this.call<PasskeyChallenge>('POST', '/passkeys/challenge', {})
      this.#accept(await this.call<SessionAnswer>('POST', PATHS.passkey, { response: await usePasskey(options) }), 'passkey')
    })
  }

  #accept (answer: SessionAnswer, method: OtpMethod): void {
    this.lockedUntil = this.nextCodeAt = 0
    this.begin(answer)
    this.fire('cs-verified', { method })
  }

  protected override async refused (error: unknown): Promise<void> {
    await super.refused(error)
    if (!(error instanceof ApiError)) return
    const { code, details: { retryAfterSeconds = 0, needsRecovery, nextCodeAt } } = error
    this.nowMs = Date.now()
    if (code === 'OTP_LOCKED') {
      this.nextCodeAt = 0
      this.fault = needsRecovery === true ? this.t.lockedForGood : this.t.OTP_LOCKED
      if (needsRecovery === true) this.#offerRecovery()
      else this.lockedUntil = this.nowMs + 1000 * retryAfterSeconds
    }
    if (code === 'OTP_INVALID' && nextCodeAt !== undefined) this.nextCodeAt = Date.parse(nextCodeAt)
    await this.updateComplete
    this.renderRoot.querySelector<HTMLInputElement>('input')?.select()
  }

  /** No wait helps: only a recovery code does. */
  #offerRecovery (): void {
    const { fault } = this
    if (this.offered?.includes('recovery_code') !== true) return
    this.#show('recovery_code')
    this.fault = fault
  }
}

export const defineChallenge = (): void => { define('cs-challenge', CsChallenge) }
