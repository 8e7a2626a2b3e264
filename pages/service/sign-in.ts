import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { define } from '../elements/element.js'
import { fill } from '../elements/messages/index.js'
import { isCode, PagePart } from './page.js'
import type { Tokens } from './session.js'

type Form = 'signIn' | 'signUp' | 'forgotten'
interface Field { name: string, label: string, type?: string, autocomplete: string, hint?: string, value?: string }

/** Signs in and up, and asks for a link for a forgotten password. Fires `cs-session`. */
export class CsSignIn extends PagePart {
  static override properties: PropertyDeclarations = {
    form: { state: true }, needsSetupCode: { state: true }, username: { attribute: false }
  }

  declare private form: Form
  declare private needsSetupCode: boolean
  /** Given once, and kept from one form to the next. */
  declare username: string

  constructor () {
    super()
    Object.assign(this, { form: 'signIn', needsSetupCode: false, username: '' })
  }

  protected override content (): TemplateResult {
    const forms = { signIn: () => this.#signIn(), signUp: () => this.#signUp(), forgotten: () => this.#forgotten() }
    return html`<div class="panel stack">${forms[this.form]()}</div>`
  }

  #field ({ name, label, type = 'text', autocomplete, hint, value }: Field): TemplateResult {
    const isText = type === 'text'
    return html`<div class="field">
      <label for=${name}>${label}</label>
      <input id=${name} name=${name} type=${type} autocomplete=${autocomplete} required maxlength="1024" dir="auto"
        autocapitalize=${isText ? 'none' : nothing} spellcheck=${isText ? 'false' : nothing}
        aria-describedby=${hint === undefined ? nothing : `${name}-hint`} .value=${value ?? ''}>
      ${hint === undefined ? nothing : html`<span id="${name}-hint" class="muted small">${hint}</span>`}
    </div>`
  }

  #usernameField (hint?: string): TemplateResult {
    const about = hint === undefined ? {} : { hint }
    return this.#field({ name: 'username', label: this.t.page.username, autocomplete: 'username', value: this.username, ...about })
  }

  #signIn (): TemplateResult {
    const { t, service: { signUp, mail } } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const { username = '', password = '', setupCode } = this.#read(event)
        void this.attempt(() => this.#logIn({ username, password, ...(setupCode === undefined ? {} : { setupCode }) }))
      }}>
      <h1 tabindex="-1">${t.page.signInTitle}</h1>
      ${this.#usernameField()}
      ${this.#field({ name: 'password', label: t.page.password, type: 'password', autocomplete: 'current-password' })}
      ${this.needsSetupCode
        ? this.#field({ name: 'setupCode', label: t.page.setupCode, autocomplete: 'off', hint: t.page.setupCodeHint })
        : nothing}
      <button ?disabled=${this.busy}>${t.page.signIn}</button>
    </form>
    ${signUp ? this.#link('signUp', t.page.signUp) : nothing}
    ${mail ? this.#link('forgotten', t.page.forgotten) : nothing}`
  }

  #signUp (): TemplateResult {
    const { t, service: { passwordMinLength: length } } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const { username = '', email = '', password = '' } = this.#read(event)
        void this.attempt(async () => {
          await this.ask('POST', 'users', { username, email, password })
          await this.#logIn({ username, password })
        })
      }}>
      <h1 tabindex="-1">${t.page.signUpTitle}</h1>
      ${this.#usernameField(t.page.usernameHint)}
      ${this.#field({ name: 'email', label: t.page.email, type: 'email', autocomplete: 'email' })}
      ${this.#field({
        name: 'password',
        label: t.page.password,
        type: 'password',
        autocomplete: 'new-password',
        hint: fill(t.page.passwordHint, { length })
      })}
      <button ?disabled=${this.busy}>${t.page.signUp}</button>
    </form>
    ${this.#link('signIn', t.page.haveAccount)}`
  }

  #forgotten (): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => {
        const { username = '' } = this.#read(event)
        void this.attempt(async () => {
          await this.ask('POST', 'password/forgot', { username })
          this.notice = t.page.forgottenSent
        })
      }}>
      <h1 tabindex="-1">${t.page.forgottenTitle}</h1>
      <p>${t.page.forgottenText}</p>
      ${this.#usernameField()}
      <button ?disabled=${this.busy}>${t.page.forgottenSend}</button>
    </form>
    ${this.#link('signIn', t.page.signIn)}`
  }

  #link (form: Form, label: string): TemplateResult {
    return html`<button type="button" class="plain" ?disabled=${this.busy} @click=${() => {
      this.username = this.querySelector<HTMLInputElement>('#username')?.value ?? ''
      Object.assign(this, { form, fault: '', notice: '' })
      void this.focusOn('h1')
    }}>${label}</button>`
  }

  #read (event: SubmitEvent): Record<string, string> {
    event.preventDefault()
    const fields = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>
    this.username = fields['username'] ?? ''
    return fields
  }

  async #logIn (credentials: { username: string, password: string, setupCode?: string }): Promise<void> {
    try {
      this.begin({ ...await this.ask<Tokens>('POST', 'token', credentials) })
    } catch (error) {
      if (isCode(error, 'SETUP_CODE_REQUIRED') && !this.needsSetupCode) {
        this.needsSetupCode = true
        void this.focusOn('#setupCode')
      }
      throw error
    }
  }
}

export const defineSignIn = (): void => { define('cs-sign-in', CsSignIn) }
