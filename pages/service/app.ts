/** The pages of the service: `/`, `/me` and `/staff`. They call the public API alone. */
import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit'
import { ANSWER_MS } from '../elements/api.js'
import '../elements/index.js'
import { define } from '../elements/element.js'
import { fill } from '../elements/messages/index.js'
import { styles } from '../elements/styles.js'
import { isCode, PagePart, readService } from './page.js'
import { createSession, type Tokens } from './session.js'
import { CsSignIn, defineSignIn } from './sign-in.js'
import { defineStaff } from './staff.js'

/** What the page shows: the sign-in, the challenge, a set-up that must come first, or the content. */
type View = 'loading' | 'signIn' | 'challenge' | 'setUp' | 'inside'
interface Account { username: string }

/** True if the session must be verified before it opens anything else. */
const isOwing = ({ otpRequired, otpMethods }: Tokens): boolean => otpRequired && otpMethods.length > 0

/** The shield of icon.svg. */
const MARK = html`<svg viewBox="0 0 32 32" aria-hidden="true">
  <path fill="var(--accent)" d="M16 2 4 7v8c0 7.5 5 13 12 15 7-2 12-7.5 12-15V7z"/>
  <path fill="none" stroke="var(--surface)" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" d="m10.5 16 4 4 7-8"/></svg>`

class CsApp extends PagePart {
  static override properties: PropertyDeclarations = { view: { state: true }, owner: { state: true } }

  declare private view: View
  declare private owner: Account | null
  #session = createSession(readService().root, () => { this.#follow() })
  /** Name that was given at the sign-in, which is asked again when the session is over. */
  #username = ''

  constructor () {
    super()
    const { root } = this.service
    Object.assign(this, { view: 'loading', owner: null })
    this.base = new URL('totp', root).href
    this.account = new URL('account', root).href
    this.authorize = (request, isRetry) => this.#session.authorize(request, isRetry)
    this.askPassword = (password) => this.#signInAgain(password)
  }

  override connectedCallback (): void {
    super.connectedCallback()
    this.addEventListener('cs-session', (event) => {
      const isNew = this.#session.tokens() === null
      if (event.target instanceof CsSignIn) this.#username = event.target.username
      this.#session.begin(event.detail.answer as unknown as Tokens)
      // Inside, the elements go on by themselves.
      if (isNew || this.view !== 'inside') void this.#arrive()
    })
    this.addEventListener('cs-ended', () => {
      if (this.view !== 'signIn' && this.view !== 'loading') void this.#leave(this.t.page.sessionOver)
    })
    // What was said before the sign-in is read by now.
    this.addEventListener('submit', () => { if (this.view === 'signIn') this.notice = '' })
    // A page out of the browser's cache may belong to a session that has ended.
    addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload() })
    void this.#open()
  }

  async #open (): Promise<void> {
    this.fault = ''
    try {
      await this.#session.restore()
      await this.#arrive()
    } catch (error) {
      await this.refused(error)
    }
  }

  /** Another tab of the session refreshed, or went on, or ended it. */
  #follow (): void {
    const tokens = this.#session.tokens()
    if (tokens !== null && this.view === (isOwing(tokens) ? 'challenge' : 'inside')) this.requestUpdate()
    else void this.#arrive()
  }

  /** Shows what the session opens. */
  async #arrive (): Promise<void> {
    const tokens = this.#session.tokens()
    Object.assign(this, { fault: '', notice: '' })
    if (tokens === null) {
      Object.assign(this, { view: 'signIn', owner: null })
    } else if (isOwing(tokens)) {
      this.view = 'challenge'
    } else {
      await this.#enter()
    }
    if (this.view !== 'challenge') void this.focusOn('h1')
  }

  async #enter (): Promise<void> {
    try {
      this.owner = await this.ask<Account>('GET', 'account')
      if (this.#place === 'signIn') history.replaceState(null, '', new URL('me', this.service.root))
      this.view = 'inside'
    } catch (error) {
      if (isCode(error, 'SESSION_ENDED', 'TOKEN_INVALID')) return await this.#leave(this.t.page.sessionOver)
      if (isCode(error, 'OTP_SETUP_REQUIRED', 'OTP_REQUIRED')) this.view = 'setUp'
      else await this.refused(error)
    }
  }

  get #place (): 'signIn' | 'me' | 'staff' {
    const path = location.pathname.slice(this.service.root.pathname.length).replace(/\/$/, '')
    return path === 'me' || path === 'staff' ? path : 'signIn'
  }

  /** Gives the password again, for a user without a second factor: another session replaces this one. */
  async #signInAgain (password: string): Promise<void> {
    const next = await this.ask<Tokens>('POST', 'token', { username: this.owner?.username, password })
    // Read after the request, which renews an access token that is about to end.
    const before = this.#session.tokens()
    this.#session.begin(next)
    await fetch(new URL('token/revoke', this.service.root), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${before?.access}` },
      body: '{}',
      signal: AbortSignal.timeout(ANSWER_MS)
    }).catch(() => {})
  }

  #signOut (): void {
    void this.attempt(async () => {
      await this.ask('POST', 'token/revoke', {}).catch((error: unknown) => {
        if (!isCode(error, 'SESSION_ENDED', 'TOKEN_INVALID')) throw error
      })
      this.#username = ''
      await this.#leave(this.t.page.signedOut)
    })
  }

  async #leave (notice: string): Promise<void> {
    this.#session.forget()
    Object.assign(this, { view: 'signIn', owner: null, fault: '', notice })
    await this.focusOn('h1')
  }

  protected override updated (changed: PropertyValues): void {
    super.updated(changed)
    const { page } = this.t
    const title = this.view === 'inside' ? (this.#place === 'staff' ? page.staffTitle : page.meTitle) : page.signInTitle
    document.title = `${title} · ${this.service.name}`
  }

  protected override content (): TemplateResult {
    const { t: { page }, service: { name }, view } = this
    return html`<header>
        <a class="skip" href="#content">${page.skip}</a><span class="name">${MARK}${name}</span>
        ${view === 'loading' || view === 'signIn'
          ? nothing
          : html`<button type="button" class="quiet" ?disabled=${this.busy} @click=${() => { this.#signOut() }}>${page.signOut}</button>`}
      </header>
      <main id="content" tabindex="-1">${this.#main()}</main>`
  }

  #main (): TemplateResult {
    const { t: { page }, service: { kinds, mail }, owner } = this
    const tokens = this.#session.tokens()
    const views: Record<View, () => TemplateResult> = {
      loading: () => this.fault === ''
        ? html`<p class="muted" role="status">${page.loading}</p>`
        : html`<div class="panel"><button type="button" @click=${() => { void this.#open() }}>${page.tryAgain}</button></div>`,
      signIn: () => html`<cs-sign-in .username=${this.#username}></cs-sign-in>`,
      challenge: () => html`<div class="panel stack"><h1 tabindex="-1">${page.signInTitle}</h1>
        <cs-challenge .methods=${tokens?.otpMethods} .expiresAt=${tokens?.otpExpiresAt ?? null}
          .extend=${() => this.#session.extend()}></cs-challenge>
      </div>`,
      setUp: () => html`<div class="panel stack"><h1 tabindex="-1">${page.meTitle}</h1><p>${page.setUpFirst}</p>
        <cs-enroll .kinds=${kinds}></cs-enroll></div>`,
      inside: () => html`<div class="wide stack">
        <h1 tabindex="-1">${this.#place === 'staff' ? page.staffTitle : page.meTitle}</h1>
        <p class="muted">${fill(page.hello, { name: owner?.username ?? '' })}</p>
        ${this.#place === 'staff'
          ? html`<cs-staff></cs-staff>`
          : html`<cs-security .account=${this.account} .kinds=${kinds} .mail=${mail}></cs-security>`}
      </div>`
    }
    return views[this.view]()
  }
}

if (styles.styleSheet !== undefined) document.adoptedStyleSheets.push(styles.styleSheet)
// The server chose a language whose texts exist; the browser adds its region, for dates.
const { documentElement: root } = document
if (navigator.language.startsWith(`${root.lang}-`)) root.lang = navigator.language
defineSignIn()
defineStaff()
define('cs-app', CsApp)
