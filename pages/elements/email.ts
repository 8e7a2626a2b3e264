import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { CsElement, define, submitted } from './element.js'
import { fill } from './messages/index.js'

interface Account { email: string, emailVerifiedAt: string | null, pendingEmail: string | null }

/** E-mail address of the account: shown, changed, verified. */
export class CsEmail extends CsElement {
  static override properties: PropertyDeclarations = { mail: { type: Boolean }, owner: { state: true } }

  /** True if the service sends mails. */
  declare mail: boolean
  declare private owner: Account | null

  constructor () {
    super()
    Object.assign(this, { mail: false, owner: null })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    void this.attempt(async () => {
      await this.updateComplete
      this.owner = await this.callAccount<Account>('GET', '')
    })
  }

  protected override content (): TemplateResult {
    const { t, owner } = this
    if (owner === null) return html`<h2>${t.emailTitle}</h2>`
    const isVerified = owner.emailVerifiedAt !== null
    return html`<div class="stack"><h2>${t.emailTitle}</h2>
      <p><bdi>${owner.email}</bdi> ${this.mail
        ? html`<span class="badge ${isVerified ? 'good' : ''}">${isVerified ? t.emailVerified : t.emailUnverified}</span>`
        : nothing}</p>
      ${owner.pendingEmail === null ? nothing : html`<p>${fill(t.emailPending, { address: owner.pendingEmail })}</p>`}
      ${this.mail && (!isVerified || owner.pendingEmail !== null)
        ? html`<button type="button" class="quiet" ?disabled=${this.busy} @click=${() => { this.#verify() }}>${t.emailSend}</button>`
        : nothing}
      <form @submit=${(event: SubmitEvent) => { this.#change(submitted(event, 'email')) }}>
        <div class="field"><label for="email">${t.emailNew}</label>
          <input id="email" name="email" type="email" autocomplete="email" required maxlength="254"></div>
        <button class="quiet" ?disabled=${this.busy}>${t.emailChange}</button>
      </form></div>`
  }

  #change (email: string): void {
    void this.attempt(async () => {
      this.owner = await this.callAccount<Account>('PATCH', '', { email })
      this.renderRoot.querySelector('form')?.reset()
      this.notice = this.t.emailChanged
    })
  }

  #verify (): void {
    void this.attempt(async () => {
      await this.callAccount('POST', '/email/verify', {})
      this.notice = this.t.emailSent
    })
  }
}

export const defineEmail = (): void => { define('cs-email', CsEmail) }
