import { html, LitElement, nothing, type CSSResultGroup, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit'
import type { OtpMethod, RefusalCode } from '../../src/core/refusals.js'
import { ApiError, callApi, type Call, type Details } from './api.js'
import { agentText, fill, languageOf, textsOf, type Messages } from './messages/index.js'
import { styles } from './styles.js'
import type { Authorize, SessionAnswer } from './types.js'
import { PasskeyError } from './webauthn.js'

/** Refusals that a proof in place answers. */
const NEEDS_PROOF = ['OTP_STALE', 'OTP_REQUIRED', 'PHISHING_RESISTANT_REQUIRED']
const HAS_ENDED = ['TOKEN_INVALID', 'SESSION_ENDED']
/** An action that asks for a proof again and again is not what the user asked for. */
const MOST_PROOFS = 3

/** The user is warned when less is left, which is time enough to ask for more (WCAG 2.2.1: 20 s). */
export const LITTLE_SECONDS = 60

/** A proof that the user is asked for. */
interface Proof { methods: readonly OtpMethod[] | undefined, done: () => void, cancel: () => void }

/** The user closed the question for a proof. */
class Cancelled extends Error {}

/**
 * Settings, calls, refusals and proofs that all elements share. An element inside another one has the settings of that one.
 */
export abstract class CsElement extends LitElement {
  static override styles: CSSResultGroup = styles
  static override properties: PropertyDeclarations = {
    base: {},
    account: {},
    lang: {},
    messages: { attribute: false },
    authorize: { attribute: false },
    askPassword: { attribute: false },
    busy: { state: true },
    fault: { state: true },
    notice: { state: true },
    proof: { state: true }
  }

  declare base: string
  declare account: string | null
  declare messages: Partial<Messages> | undefined
  declare authorize: Authorize | undefined
  declare askPassword: ((password: string) => Promise<void>) | undefined
  /** True while an answer is awaited: every button is disabled, so that nothing is sent twice. */
  declare protected busy: boolean
  /** Text of the last refusal. */
  declare protected fault: string
  /** Text of what was done, for the live region. */
  declare protected notice: string
  declare protected proof: Proof | null

  constructor () {
    super()
    this.base = '/totp'
    this.account = null
    this.busy = false
    this.fault = ''
    this.notice = ''
    this.proof = null
  }

  /** The element that this one is a part of. */
  get #outer (): CsElement | null {
    let node: Node | null = this
    do {
      node = node instanceof ShadowRoot ? node.host : node.parentNode
    } while (node !== null && !(node instanceof CsElement))
    return node
  }

  /** The outermost element, which has the settings. */
  protected get settings (): CsElement {
    return this.#outer?.settings ?? this
  }

  protected get language (): string {
    const { settings } = this
    return languageOf(settings.lang || settings.closest<HTMLElement>('[lang]:not([lang=""])')?.lang || navigator.language)
  }

  /** The texts. */
  protected get t (): Messages {
    return { ...textsOf(this.language), ...this.settings.messages }
  }

  protected async call<Answer = null> (method: Call['method'], path: string, body?: object): Promise<Answer> {
    const { base, authorize } = this.settings
    const url = `${base.replace(/\/$/, '')}${path}`
    return await callApi<Answer>({ method, url, ...(body === undefined ? {} : { body }) }, { lang: this.language, authorize })
  }

  /** Calls an operation of the account. */
  protected async callAccount<Answer = null> (method: Call['method'], path: string, body?: object): Promise<Answer> {
    const { account, authorize } = this.settings
    const url = `${(account ?? '').replace(/\/$/, '')}${path}`
    return await callApi<Answer>({ method, url, ...(body === undefined ? {} : { body }) }, { lang: this.language, authorize })
  }

  protected fire (name: string, detail: object | null = null): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
  }

  /** Hands the session that began to the page. */
  protected begin (answer: SessionAnswer): void {
    this.fire('cs-session', { answer })
  }

  /** Does what a button asks for, with one request at a time. Asks for a proof in place where one is missing, and then goes on. */
  protected async attempt (work: () => Promise<void>): Promise<void> {
    if (this.busy) return
    Object.assign(this, { busy: true, fault: '', notice: '' })
    try {
      await this.#proven(work)
    } catch (error) {
      await this.refused(error)
    } finally {
      this.busy = false
    }
  }

  /** Shows why something failed. An element that knows better handles it first. */
  protected async refused (error: unknown): Promise<void> {
    if (error instanceof Cancelled) return
    if (error instanceof ApiError && HAS_ENDED.includes(error.code)) this.fire('cs-ended', { code: error.code as RefusalCode })
    this.fault = this.explain(error)
  }

  /** Returns the text of an error, by its code. */
  protected explain (error: unknown): string {
    const { t } = this
    if (error instanceof PasskeyError) return t[`passkey_${error.reason}`]
    if (!(error instanceof ApiError)) {
      console.error(error)
      return t.INTERNAL_ERROR
    }
    const { code, details } = error
    const reason = t[`password_${details.reason ?? ''}` as keyof Messages] as string | undefined
    const text = reason ?? (t as unknown as Record<string, string>)[code] ?? details.message ?? t.INTERNAL_ERROR
    const wait = details.retryAfterSeconds ?? 0
    return wait > 1 ? `${text} ${fill(t.tryAgainIn, { time: duration(wait) })}` : text
  }

  async #proven (work: () => Promise<void>): Promise<void> {
    for (let proofs = 0; ; proofs++) {
      try {
        await work()
        return
      } catch (error) {
        const { code, details } = error instanceof ApiError ? error : { code: '', details: {} as Details }
        // Without a method, only a set-up helps.
        if (proofs === MOST_PROOFS || !NEEDS_PROOF.includes(code) || details.methods?.length === 0) throw error
        await new Promise<void>((resolve, reject) => {
          this.proof = {
            methods: details.methods,
            done: resolve,
            cancel: () => { reject(new Cancelled()) }
          }
        }).finally(() => { this.proof = null })
      }
    }
  }

  protected override updated (changed: PropertyValues): void {
    const dialog = this.renderRoot.querySelector<HTMLDialogElement>('dialog.proof')
    if (dialog !== null && !dialog.open) dialog.showModal()
    // What is inside shows the same language and texts.
    if (['lang', 'messages', 'base', 'account'].some((name) => changed.has(name))) this.#updateInner()
  }

  #updateInner (): void {
    for (const inner of this.renderRoot.querySelectorAll('*')) {
      if (!(inner instanceof CsElement)) continue
      inner.requestUpdate()
      inner.#updateInner()
    }
  }

  /** What the element shows. */
  protected abstract content (): unknown

  protected override render (): unknown {
    return html`
      ${this.content()}
      <div class="fault" role="alert">${this.fault === '' ? nothing : html`<p>${this.fault}</p>`}</div>
      <div class="notice" role="status">${this.notice === '' ? nothing : html`<p>${this.notice}</p>`}</div>
      ${this.proof === null ? nothing : this.#question(this.proof)}`
  }

  #question ({ methods, done, cancel }: Proof): TemplateResult {
    return html`<dialog class="proof" aria-label=${this.t.proofTitle} @cancel=${cancel}>
      <cs-challenge .methods=${methods} .proves=${true} @cs-verified=${done}></cs-challenge>
      <button type="button" class="plain" @click=${cancel}>${this.t.cancel}</button>
    </dialog>`
  }

  /** Moves the focus to what a step changed, once it is shown. */
  protected async focusOn (selector: string): Promise<void> {
    await this.updateComplete
    this.renderRoot.querySelector<HTMLElement>(selector)?.focus()
  }

  protected date (text: string): TemplateResult {
    const format = new Intl.DateTimeFormat(this.language, { dateStyle: 'medium', timeStyle: 'short' })
    return html`<time datetime=${text}>${format.format(new Date(text))}</time>`
  }

  /** Shows the program and the network of a session or an event, as far as they are known. */
  protected origin ({ agent, ip }: { agent: string, ip: string }): TemplateResult {
    return html`<bdi>${agentText(this.t, agent)}</bdi>${ip === '' ? nothing : html` · <bdi>${ip}</bdi>`}`
  }
}

/** Returns minutes and seconds, as 1:05. */
export function duration (seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** Defines an element, unless a second copy of this module did so before. */
export function define (name: string, element: CustomElementConstructor): void {
  if (customElements.get(name) === undefined) customElements.define(name, element)
}

/** Returns the text of a field of a form that was submitted, and stops the browser from sending it. */
export function submitted (event: SubmitEvent, name: string): string {
  event.preventDefault()
  return String(new FormData(event.target as HTMLFormElement).get(name) ?? '')
}
