import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { ApiError } from './api.js'
import { CsElement, define, duration, LITTLE_SECONDS, submitted } from './element.js'
import { fill } from './messages/index.js'
import { qrCode } from './qr.js'
import { recoveryCodes } from './recovery-codes.js'
import type { SessionAnswer } from './types.js'
import { createPasskey, hasPasskeys } from './webauthn.js'

type Kind = 'totp' | 'passkey'
/** A set-up that has begun: nothing changes before it is confirmed. */
interface SetUp {
  kind: Kind
  recoveryCodes: readonly string[]
  expiresAt: string
  otpUrl?: string
  options?: PublicKeyCredentialCreationOptionsJSON
}
interface Status { isPending: boolean }

/** Kind and name of the set-up that a reload continues. The service has the secret, and tells it only to the session that began. */
const PENDING = 'countersign-set-up'
/** Reads and writes that note. A browser may refuse the storage, or a write to it: the set-up then goes on, and no reload continues it. */
const pending = {
  read: (): string | null => {
    try {
      return sessionStorage.getItem(PENDING)
    } catch {
      return null
    }
  },
  write: (text: string | null): void => {
    try {
      if (text === null) sessionStorage.removeItem(PENDING)
      else sessionStorage.setItem(PENDING, text)
    } catch {}
  }
}
const PATHS = { totp: '/create', passkey: '/passkeys/create' } as const

/** Sets up an authenticator app or a passkey. */
export class CsEnroll extends CsElement {
  static override properties: PropertyDeclarations = {
    kinds: {},
    setUp: { state: true },
    asked: { state: true },
    hasSaved: { state: true },
    nowMs: { state: true }
  }

  declare kinds: string
  declare private setUp: SetUp | null
  /** The kind for which the password is asked, with the name that was given. */
  declare private asked: { kind: Kind, name: string } | null
  declare private hasSaved: boolean
  declare private nowMs: number
  #clock: ReturnType<typeof setInterval> | undefined
  #name = ''

  constructor () {
    super()
    Object.assign(this, { kinds: 'totp passkey', setUp: null, asked: null, hasSaved: false, nowMs: Date.now() })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    this.#clock = setInterval(() => { if (this.setUp !== null) this.nowMs = Date.now() }, 1000)
    void this.#resume()
  }

  override disconnectedCallback (): void {
    super.disconnectedCallback()
    clearInterval(this.#clock)
  }

  /** Continues a set-up of this session after a reload: it has the same secret and codes. One that is shown is not begun again. */
  async #resume (): Promise<void> {
    const stored = pending.read()
    if (stored === null || this.setUp !== null) return
    const { kind, name } = JSON.parse(stored) as { kind: Kind, name: string }
    await this.attempt(async () => {
      await this.updateComplete
      // It may be of another session in this tab, and of another user.
      if (!(await this.call<Status>('GET', '/status')).isPending) return pending.write(null)
      this.#name = name
      await this.#begin(kind)
    })
  }

  protected override content (): TemplateResult {
    const { setUp, asked } = this
    if (asked !== null) return this.#password(asked)
    return setUp === null ? this.#choice() : this.#steps(setUp)
  }

  #choice (): TemplateResult {
    const { t } = this
    const offers = (kind: Kind) => this.kinds.split(' ').includes(kind) && (kind === 'totp' || hasPasskeys())
    const choice = (kind: Kind) => html`<button type="button" class="choice" ?disabled=${this.busy} @click=${() => { this.#choose(kind) }}>
      ${t[`add_${kind}`]}<span>${t[`about_${kind}`]}</span></button>`
    return html`<div class="stack">
      <h2 tabindex="-1">${t.enrolTitle}</h2>
      <div class="field">
        <label for="name">${t.nameLabel}</label>
        <input id="name" maxlength="64" autocomplete="off" aria-describedby="name-hint" .value=${this.#name}
          @input=${(event: InputEvent) => { this.#name = (event.target as HTMLInputElement).value }}>
        <span id="name-hint" class="muted small">${t.nameHint}</span>
      </div>
      <div class="choices">${offers('totp') ? choice('totp') : nothing}${offers('passkey') ? choice('passkey') : nothing}</div>
    </div>`
  }

  #choose (kind: Kind): void {
    void this.attempt(() => this.#begin(kind))
  }

  async #begin (kind: Kind, password?: string): Promise<void> {
    const name = this.#name.trim()
    try {
      const answer = await this.call<Omit<SetUp, 'kind'>>('POST', PATHS[kind], {
        ...(name === '' ? {} : { name }), ...(password === undefined ? {} : { password })
      })
      pending.write(JSON.stringify({ kind, name }))
      const { setUp, hasSaved } = this
      const isSame = setUp !== null && setUp.otpUrl === answer.otpUrl && String(setUp.recoveryCodes) === String(answer.recoveryCodes)
      if (setUp !== null) this.notice = isSame ? this.t.extended : this.t.setUpAgain
      Object.assign(this, {
        setUp: { kind, ...answer }, asked: null, nowMs: Date.now(), hasSaved: answer.recoveryCodes.length === 0 || (isSame && hasSaved)
      })
      if (!isSame || password !== undefined) void this.focusOn('h2')
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'REAUTH_REQUIRED') throw error
      const isSecondTry = this.asked !== null
      this.asked = { kind, name }
      void this.focusOn('#password')
      if (isSecondTry) throw error
    }
  }

  #password ({ kind }: { kind: Kind }): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const password = submitted(event, 'password')
        void this.attempt(() => this.#begin(kind, password))
      }}>
      <h2 tabindex="-1">${t.proofTitle}</h2>
      <div class="field">
        <label for="password">${t.passwordLabel}</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required>
      </div>
      <div class="row"><button ?disabled=${this.busy}>${t.continue}</button>${this.#cancelButton()}</div>
    </form>`
  }

  #steps (setUp: SetUp): TemplateResult {
    const { t } = this
    return html`<div class="stack">
      <h2 tabindex="-1">${t[`add_${setUp.kind}`]}</h2>
      ${setUp.kind === 'totp' ? this.#scan(setUp.otpUrl!) : nothing}
      ${setUp.recoveryCodes.length === 0 ? nothing : this.#saving(setUp.recoveryCodes)}
      ${setUp.kind === 'totp' ? this.#confirmation() : this.#creation(setUp.options!)}
      ${this.#deadline(setUp)}
    </div>`
  }

  #scan (otpUrl: string): TemplateResult {
    const { t } = this
    const secret = new URL(otpUrl).searchParams.get('secret') ?? ''
    return html`<h3>${t.scanTitle}</h3>
      <div class="split">
        ${qrCode(otpUrl, t.qrLabel)}
        <div class="stack">
          <p>${t.scanText}</p>
          <p><span class="label">${t.secretLabel}</span><br>
            <code class="secret" dir="ltr">${secret.match(/.{1,4}/g)?.map((group) => html`<span>${group}</span> `)}</code></p>
          <a class="button" href=${otpUrl}>${t.openApp}</a>
        </div>
      </div>`
  }

  #saving (codes: readonly string[]): TemplateResult {
    const { t } = this
    return html`<h3>${t.recoveryTitle}</h3>
      <p>${t.recoveryText}</p>
      ${recoveryCodes(codes, t, (notice) => { this.notice = notice })}
      <label class="check"><input type="checkbox" name="saved" .checked=${this.hasSaved}
        @change=${(event: Event) => { this.hasSaved = (event.target as HTMLInputElement).checked }}>${t.saved}</label>`
  }

  #confirmation (): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const token = submitted(event, 'code')
        void this.attempt(async () => { this.#done(await this.call<SessionAnswer>('POST', '/login', { token }), 'totp') })
      }}>
      ${this.hasSaved
        ? html`<h3>${t.confirmTitle}</h3><div class="field">
          <label for="code">${t.codeLabel}</label>
          <input id="code" name="code" class="code" dir="ltr" inputmode="numeric" autocomplete="one-time-code" required
            aria-describedby="code-hint">
          <span id="code-hint" class="muted small">${t.codeHint}</span>
        </div>`
        : nothing}
      <div class="row"><button ?disabled=${this.busy || !this.hasSaved}>${t.confirm}</button>${this.#cancelButton()}</div>
    </form>`
  }

  #creation (options: PublicKeyCredentialCreationOptionsJSON): TemplateResult {
    const { t } = this
    const create = () => this.attempt(async () => {
      const response = await createPasskey(options)
      this.#done(await this.call<SessionAnswer>('POST', '/passkeys/confirm', { response }), 'passkey')
    })
    return html`<p>${t.passkeyText}</p><div class="row">
      <button type="button" ?disabled=${this.busy || !this.hasSaved} @click=${create}>${t.createPasskey}</button>${this.#cancelButton()}
    </div>`
  }

  /** The time of a set-up can be extended as often as one likes, with the password where it is old: the secret and codes stay the same. */
  #deadline ({ kind, expiresAt }: SetUp): TemplateResult {
    const { t } = this
    const seconds = (Date.parse(expiresAt) - this.nowMs) / 1000
    const warning = seconds <= 0 ? t.setUpOver : seconds < LITTLE_SECONDS ? t.setUpSoonOver : ''
    return html`<div class="row small muted">
      <span class="timer" role="timer">${seconds > 0 ? fill(t.setUpUntil, { time: duration(seconds) }) : t.setUpOver}</span>
      <span class="sr" role="status">${warning}</span>
      <button type="button" class="plain" ?disabled=${this.busy} @click=${() => { this.#choose(kind) }}>
        ${t.moreTime}</button>
    </div>`
  }

  #cancelButton (): TemplateResult {
    return html`<button type="button" class="plain" ?disabled=${this.busy} @click=${() => { this.#cancel() }}>${this.t.cancel}</button>`
  }

  #cancel (): void {
    // Without the password there is no more time, but the set-up goes on.
    if (this.asked !== null && this.setUp !== null) {
      this.asked = null
      return
    }
    void this.attempt(async () => {
      if (this.setUp !== null) {
        await this.call('DELETE', '/rollback').catch((error: unknown) => {
          if (!(error instanceof ApiError) || error.code !== 'OTP_NOT_SET_UP') throw error
        })
      }
      this.#reset()
      this.fire('cs-cancelled')
      void this.focusOn('h2')
    })
  }

  #done (answer: SessionAnswer, kind: Kind): void {
    this.#reset()
    this.begin(answer)
    this.notice = this.t.enrolled
    this.fire('cs-enrolled', { kind })
  }

  #reset (): void {
    pending.write(null)
    this.#name = ''
    Object.assign(this, { setUp: null, asked: null, hasSaved: false })
  }
}

export const defineEnroll = (): void => { define('cs-enroll', CsEnroll) }
