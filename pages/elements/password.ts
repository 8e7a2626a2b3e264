import { html, type TemplateResult } from 'lit'
import { ApiError } from './api.js'
import { CsElement, define } from './element.js'
import type { SessionAnswer } from './types.js'

/** Changes the password. Every other session ends. */
export class CsPassword extends CsElement {
  protected override content (): TemplateResult {
    const { t } = this
    return html`<form @submit=${(event: SubmitEvent) => { this.#change(event) }}>
      <h2>${t.passwordTitle}</h2>
      <p class="muted">${t.passwordText}</p>
      <div class="field"><label for="current">${t.passwordCurrent}</label>
        <input id="current" name="current" type="password" autocomplete="current-password" required maxlength="1024"></div>
      <div class="field"><label for="next">${t.passwordNext}</label>
        <input id="next" name="next" type="password" autocomplete="new-password" required maxlength="1024"></div>
      <button ?disabled=${this.busy}>${t.passwordChange}</button>
    </form>`
  }

  #change (event: SubmitEvent): void {
    event.preventDefault()
    const form = event.target as HTMLFormElement
    const body = Object.fromEntries(new FormData(form)) as Record<string, string>
    void this.attempt(async () => {
      this.begin(await this.callAccount<SessionAnswer>('POST', '/password', body))
      form.reset()
      this.notice = this.t.passwordChanged
    })
  }

  protected override explain (error: unknown): string {
    return error instanceof ApiError && error.code === 'REAUTH_REQUIRED' ? this.t.passwordWrong : super.explain(error)
  }
}

export const definePassword = (): void => { define('cs-password', CsPassword) }
