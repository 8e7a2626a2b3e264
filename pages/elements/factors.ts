import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { CsElement, define, submitted } from './element.js'
import { fill } from './messages/index.js'
import { recoveryCodes } from './recovery-codes.js'
import type { SessionAnswer } from './types.js'

interface Status {
  isOtpEnabled: boolean
  isPending: boolean
  recoveryCodesLeft: number
  recoveryCodesWeak: boolean
}

interface Factor {
  id: string
  kind: 'totp' | 'passkey'
  name: string
  createdAt: string
  lastUsedAt: string | null
  weak?: boolean
}

/** What is shown in place of the list's buttons. */
type Step = { kind: 'add' | 'off' } | { kind: 'rename' | 'remove', id: string } | { kind: 'codes', codes: readonly string[] } | null

/** Fewer than these are worth a warning. */
const FEW_CODES = 2

/** Factors: add, rename, remove; recovery codes: count, replace; and switching all of it off. */
export class CsFactors extends CsElement {
  static override properties: PropertyDeclarations = {
    kinds: {}, status: { state: true }, factors: { state: true }, step: { state: true }
  }

  declare kinds: string
  declare private status: Status | null
  declare private factors: readonly Factor[]
  declare private step: Step

  constructor () {
    super()
    Object.assign(this, { kinds: 'totp passkey', status: null, factors: [], step: null })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    void this.attempt(async () => {
      await this.updateComplete
      await this.#load()
      if (this.status?.isPending === true) this.step = { kind: 'add' }
    })
  }

  async #load (): Promise<void> {
    this.status = await this.call<Status>('GET', '/status')
    this.factors = this.status.isOtpEnabled ? await this.call<Factor[]>('GET', '/devices') : []
  }

  protected override content (): TemplateResult {
    const { t, status, step } = this
    if (status === null) return html`<h2>${t.factorsTitle}</h2>`
    return html`<div class="stack">
      <div class="spread"><h2 tabindex="-1">${t.factorsTitle}</h2>
        <span class="badge ${status.isOtpEnabled ? 'good' : ''}">${status.isOtpEnabled ? t.on : t.off}</span></div>
      ${status.isOtpEnabled ? nothing : html`<p>${t.factorsOff}</p>`}
      ${this.factors.length === 0 ? nothing : html`<ul class="list">${this.factors.map((factor) => this.#factor(factor))}</ul>`}
      ${step?.kind === 'add'
? this.#adding()
: html`<button type="button" ?disabled=${this.busy} @click=${() => { this.#go({ kind: 'add' }) }}>
        ${status.isOtpEnabled ? t.addFactor : t.setUp}</button>`}
      ${status.isOtpEnabled ? this.#codes(status) : nothing}
      ${status.isOtpEnabled ? this.#switch() : nothing}
    </div>`
  }

  #go (step: Step): void {
    Object.assign(this, { step, fault: '', notice: '' })
    void this.focusOn('[data-first]')
  }

  #factor (factor: Factor): TemplateResult {
    const { t, step } = this
    const { id, kind, name } = factor
    const isHere = step !== null && 'id' in step && step.id === id
    return html`<li>
      <div class="spread">
        <div class="grow"><strong dir="auto">${name}</strong> <span class="badge">${t[`kind_${kind}`]}</span>
          ${factor.weak === true ? html`<span class="badge bad">${t.weak}</span>` : nothing}</div>
        <div class="row">
          <button type="button" class="plain" ?disabled=${this.busy} aria-label=${fill(t.renameNamed, { name })}
            @click=${() => { this.#go({ kind: 'rename', id }) }}>${t.rename}</button>
          <button type="button" class="plain" ?disabled=${this.busy} aria-label=${fill(t.removeNamed, { name })}
            @click=${() => { this.#go({ kind: 'remove', id }) }}>${t.remove}</button>
        </div>
      </div>
      <p class="muted small">${t.added} ${this.date(factor.createdAt)} · ${t.lastUsed}
        ${factor.lastUsedAt === null ? t.never : this.date(factor.lastUsedAt)}</p>
      ${isHere && step.kind === 'rename' ? this.#renaming(factor) : nothing}
      ${isHere && step.kind === 'remove'
        ? this.#sure(this.factors.length === 1 ? t.removeLast : fill(t.removeSure, { name }), t.remove, () => this.#remove(id))
        : nothing}
    </li>`
  }

  #renaming ({ id, name }: Factor): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const next = submitted(event, 'name')
        void this.attempt(async () => {
          await this.call('PATCH', `/devices/${id}`, { name: next })
          await this.#load()
          await this.#finish(t.renamed)
        })
      }}>
      <div class="field"><label for="name">${t.newName}</label>
        <input id="name" name="name" data-first required maxlength="64" autocomplete="off" .value=${name}></div>
      <div class="row"><button ?disabled=${this.busy}>${t.save}</button>${this.#cancelButton()}</div>
    </form>`
  }

  /** Asks once more before something that cannot be undone. */
  #sure (question: string, action: string, act: () => Promise<void>): TemplateResult {
    return html`<div class="stack"><p data-first tabindex="-1">${question}</p>
      <div class="row">
        <button type="button" class="danger" ?disabled=${this.busy} @click=${() => { void this.attempt(act) }}>${action}</button>
        ${this.#cancelButton()}
      </div></div>`
  }

  #cancelButton (): TemplateResult {
    return html`<button type="button" class="plain" ?disabled=${this.busy} @click=${() => { this.#go(null); void this.focusOn('h2') }}>
      ${this.t.cancel}</button>`
  }

  async #remove (id: string): Promise<void> {
    this.begin(await this.call<SessionAnswer>('DELETE', `/devices/${id}`))
    await this.#load()
    await this.#finish(this.t.removed)
    this.fire('cs-removed')
  }

  #adding (): TemplateResult {
    return html`<cs-enroll .kinds=${this.kinds} @cs-cancelled=${() => { this.#go(null); void this.focusOn('h2') }}
      @cs-enrolled=${() => { void this.attempt(async () => { await this.#load(); await this.#finish(this.t.enrolled) }) }}></cs-enroll>`
  }

  #codes ({ recoveryCodesLeft: left, recoveryCodesWeak: areWeak }: Status): TemplateResult {
    const { t, step } = this
    const isLow = left <= FEW_CODES || areWeak
    return html`<h3>${t.recoveryTitle}</h3>
      <p>${fill(t.recoveryLeft, { left })} ${isLow ? html`<span class="badge bad">${t.replaceThem}</span>` : nothing}</p>
      ${step?.kind === 'codes'
        ? html`<p data-first tabindex="-1">${t.recoveryText}</p>${recoveryCodes(step.codes, t, (notice) => { this.notice = notice })}
          <button type="button" @click=${() => { this.#go(null); void this.focusOn('h2') }}>${t.saved}</button>`
        : html`<button type="button" class="quiet" ?disabled=${this.busy} @click=${() => { void this.attempt(() => this.#replace()) }}>
          ${t.replaceCodes}</button>`}`
  }

  async #replace (): Promise<void> {
    const codes = await this.call<string[]>('POST', '/recovery_code/create', {})
    await this.#load()
    this.#go({ kind: 'codes', codes })
  }

  #switch (): TemplateResult {
    const { t, step } = this
    if (step?.kind === 'off') return this.#sure(t.offSure, t.switchOff, () => this.#switchOff())
    return html`<button type="button" class="danger" ?disabled=${this.busy} @click=${() => { this.#go({ kind: 'off' }) }}>
      ${t.switchOff}</button>`
  }

  async #switchOff (): Promise<void> {
    this.begin(await this.call<SessionAnswer>('DELETE', '/delete'))
    await this.#load()
    await this.#finish(this.t.switchedOff)
    this.fire('cs-removed')
  }

  /** Closes a step and says what it did. */
  async #finish (notice: string): Promise<void> {
    Object.assign(this, { step: null, notice })
    await this.focusOn('h2')
  }
}

export const defineFactors = (): void => { define('cs-factors', CsFactors) }
