import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { define, submitted } from '../elements/element.js'
import { agentText, eventText, fill } from '../elements/messages/index.js'
import type { LoggedEvent } from '../elements/log.js'
import { printText } from '../elements/recovery-codes.js'
import type { ListedSession } from '../elements/sessions.js'
import { isCode, PagePart } from './page.js'

interface ListedUser {
  id: string
  username: string
  email: string
  firstName: string
  lastName: string
  isActive: boolean
  isStaff: boolean
  isOtpEnabled: boolean
  createdAt: string
}
interface User extends ListedUser {
  failures: number
  lockedUntil: string | null
  isStopped: boolean
  setupRequired: boolean
  recoveryCodesLeft: number
}
interface Factor { id: string, kind: 'totp' | 'passkey', name: string, createdAt: string }
interface SetupCode { setupCode: string, expiresAt: string }
/** An account with everything that is shown of it. */
interface Shown { user: User, factors: readonly Factor[], sessions: readonly ListedSession[], events: readonly LoggedEvent[] }
type Change = 'reset' | 'deactivate' | 'reactivate'

/** Operations that ask for a reason, and the texts of each. */
const CHANGES = {
  reset: { path: 'reset-otp', text: 'resetText', done: 'resetDone' },
  deactivate: { path: 'deactivate', text: 'deactivateText', done: 'deactivateDone' },
  reactivate: { path: 'reactivate', text: null, done: 'reactivateDone' }
} as const

/** Page of staff: finds accounts, shows them, helps with a lost second factor. */
export class CsStaff extends PagePart {
  static override properties: PropertyDeclarations = {
    users: { state: true }, shown: { state: true }, change: { state: true }, setupCode: { state: true }
  }

  declare private users: readonly ListedUser[] | null
  declare private shown: Shown | null
  declare private change: Change | null
  declare private setupCode: SetupCode | null

  constructor () {
    super()
    Object.assign(this, { users: null, shown: null, change: null, setupCode: null })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    this.#find('')
  }

  protected override content (): TemplateResult {
    return this.shown === null ? this.#list() : this.#account(this.shown)
  }

  protected override explain (error: unknown): string {
    return isCode(error, 'STAFF_REQUIRED', 'OTP_REQUIRED') ? this.t.page.staffOnly : super.explain(error)
  }

  #find (query: string): void {
    void this.attempt(async () => {
      await this.updateComplete
      const { users } = await this.ask<{ users: ListedUser[] }>('GET', `admin/users?limit=50&query=${encodeURIComponent(query)}`)
      this.users = users
      const { page } = this.t
      if (query !== '') this.notice = users.length === 0 ? page.foundNone : fill(page.found, { count: users.length })
    })
  }

  #list (): TemplateResult {
    const { t: { page }, users } = this
    return html`<section class="card stack">
      <form role="search" class="search" @submit=${(event: SubmitEvent) => { this.#find(submitted(event, 'query')) }}>
        <div class="field"><label for="query">${page.search}</label>
          <input id="query" name="query" type="search" autocomplete="off" maxlength="254"></div>
        <button ?disabled=${this.busy}>${page.find}</button>
      </form>
      ${users === null || users.length === 0
        ? nothing
        : html`<ul class="list">${users.map((user) => html`<li>
          <div class="spread"><button type="button" class="plain" dir="auto" ?disabled=${this.busy} @click=${() => { this.#open(user.id) }}>
            ${user.username}</button><div class="row">${this.#badges(user)}</div></div>
          <p class="muted small"><bdi>${user.email}</bdi> <bdi>${user.firstName} ${user.lastName}</bdi></p></li>`)}</ul>`}
    </section>`
  }

  #badges ({ isActive, isStaff, isOtpEnabled }: ListedUser): TemplateResult {
    const { page } = this.t
    return html`${isActive ? nothing : html`<span class="badge bad">${page.deactivated}</span>`}
      ${isStaff ? html`<span class="badge">${page.staff}</span>` : nothing}
      <span class="badge ${isOtpEnabled ? 'good' : ''}">${isOtpEnabled ? page.hasFactor : page.noFactor}</span>`
  }

  #open (id: string): void {
    void this.attempt(async () => {
      await this.#load(id)
      await this.focusOn('h2')
    })
  }

  async #load (id: string): Promise<void> {
    const [user, factors, sessions, { events }] = await Promise.all([
      this.ask<User>('GET', `admin/users/${id}`),
      this.ask<Factor[]>('GET', `admin/users/${id}/devices`),
      this.ask<ListedSession[]>('GET', `admin/users/${id}/sessions`),
      this.ask<{ events: LoggedEvent[] }>('GET', `admin/users/${id}/events?limit=20`)
    ])
    Object.assign(this, { shown: { user, factors, sessions, events }, change: null })
  }

  /** Changes the account, shows it again and says what was done. */
  #act (notice: string, work: (id: string) => Promise<unknown>): void {
    const id = this.shown!.user.id
    void this.attempt(async () => {
      await work(id)
      await this.#load(id)
      this.notice = notice
      await this.focusOn('h2')
    })
  }

  #account ({ user, factors, sessions, events }: Shown): TemplateResult {
    const { page } = this.t
    return html`
      <button type="button" class="plain" ?disabled=${this.busy} @click=${() => {
        Object.assign(this, { shown: null, setupCode: null, change: null, fault: '', notice: '' })
        void this.focusOn('#query')
      }}>${page.backToList}</button>
      <section class="card stack">
        <div class="spread"><h2 tabindex="-1" dir="auto">${user.username}</h2><div class="row">${this.#badges(user)}</div></div>
        ${this.setupCode === null ? nothing : this.#handOver(user, this.setupCode)}
        ${this.#facts(user)}
        ${this.change === null ? this.#actions(user) : this.#reason(this.change)}
      </section>
      ${this.#factors(factors)}
      ${this.#sessions(sessions)}
      ${this.#events(events)}`
  }

  #facts (user: User): TemplateResult {
    const { page } = this.t
    const fact = (label: string, value: unknown) => html`<div><dt>${label}</dt><dd dir="auto">${value}</dd></div>`
    return html`<dl>
      ${fact(page.email, user.email)}
      ${user.firstName === '' && user.lastName === '' ? nothing : fact(page.name, `${user.firstName} ${user.lastName}`)}
      ${fact(page.created, this.date(user.createdAt))}
      ${fact(page.failures, user.failures)}
      ${fact(page.codesLeft, user.recoveryCodesLeft)}
    </dl>
    <div class="row">
      ${user.lockedUntil === null || user.isStopped ? nothing : html`<span class="badge bad">${page.locked}</span>`}
      ${user.isStopped ? html`<span class="badge bad">${page.stopped}</span>` : nothing}
      ${user.setupRequired ? html`<span class="badge bad">${page.setupWaits}</span>` : nothing}
    </div>`
  }

  #actions (user: User): TemplateResult {
    const { page } = this.t
    const choose = (change: Change) => () => {
      Object.assign(this, { change, fault: '', notice: '' })
      void this.focusOn('#reason')
    }
    return html`<div class="row">
      <button type="button" class="quiet" ?disabled=${this.busy}
        @click=${() => { this.#act(page.unlockDone, (id) => this.ask('POST', `admin/users/${id}/unlock`, {})) }}>${page.unlock}</button>
      <button type="button" class="danger" ?disabled=${this.busy} @click=${choose('reset')}>${page.reset}</button>
      ${user.isActive
        ? html`<button type="button" class="danger" ?disabled=${this.busy} @click=${choose('deactivate')}>${page.deactivate}</button>`
        : html`<button type="button" class="quiet" ?disabled=${this.busy} @click=${choose('reactivate')}>${page.reactivate}</button>`}
    </div>`
  }

  #reason (change: Change): TemplateResult {
    const { t, t: { page } } = this
    const { path, text, done } = CHANGES[change]
    return html`<form @submit=${(event: SubmitEvent) => {
        const reason = submitted(event, 'reason')
        this.#act(page[done], async (id) => {
          const answer = await this.ask<SetupCode | null>('POST', `admin/users/${id}/${path}`, { reason })
          if (change === 'reset') this.setupCode = answer
        })
      }}>
      ${text === null ? nothing : html`<p>${page[text]}</p>`}
      <div class="field"><label for="reason">${page.reason}</label>
        <input id="reason" name="reason" required maxlength="200" autocomplete="off" aria-describedby="reason-hint">
        <span id="reason-hint" class="muted small">${page.reasonHint}</span></div>
      <div class="row"><button class=${change === 'reactivate' ? '' : 'danger'} ?disabled=${this.busy}>${page[change]}</button>
        <button type="button" class="plain" @click=${() => { this.change = null }}>${t.cancel}</button></div>
    </form>`
  }

  /** The set-up code is shown once: nothing has it afterwards. */
  #handOver ({ username }: User, { setupCode, expiresAt }: SetupCode): TemplateResult {
    const { page } = this.t
    const title = fill(page.setupCodeTitle, { name: username })
    return html`<h3>${title}</h3><p>${page.setupCodeText} ${this.date(expiresAt)}</p>
      <p class="codes" dir="ltr"><code>${setupCode}</code></p>
      <div class="row">
        <button type="button" class="quiet" @click=${() => { printText(`${title}\n\n${setupCode}\n`) }}>${page.setupCodePrint}</button>
        <button type="button" class="quiet" @click=${() => { this.setupCode = null }}>${page.setupCodeDone}</button>
      </div>`
  }

  #factors (factors: readonly Factor[]): TemplateResult {
    const { t, t: { page } } = this
    return html`<section class="card stack"><h2>${page.factors}</h2>
      ${factors.length === 0
        ? html`<p class="muted">${page.none}</p>`
        : html`<ul class="list">${factors.map(({ kind, name, createdAt }) => html`<li>
          <div><strong dir="auto">${name}</strong> <span class="badge">${t[`kind_${kind}`]}</span></div>
          <p class="muted small">${t.added} ${this.date(createdAt)}</p></li>`)}</ul>`}
    </section>`
  }

  #sessions (sessions: readonly ListedSession[]): TemplateResult {
    const { t, t: { page } } = this
    const end = (path: string, notice: string) => () => {
      this.#act(notice, (id) => this.ask('DELETE', `admin/users/${id}/sessions${path}`))
    }
    return html`<section class="card stack"><h2>${page.sessions}</h2>
      ${sessions.length === 0
        ? html`<p class="muted">${page.none}</p>`
        : html`<ul class="list">${sessions.map(({ id, agent, ip, lastSeenAt }) => html`<li>
            <div class="spread"><strong class="grow" dir="auto">${agentText(t, agent)}</strong>
              <button type="button" class="plain" ?disabled=${this.busy} aria-label=${fill(t.endNamed, { name: agentText(t, agent) })}
                @click=${end(`/${id}`, t.sessionEnded)}>${t.end}</button></div>
            <p class="muted small"><bdi>${ip}</bdi> · ${t.lastSeen} ${this.date(lastSeenAt)}</p></li>`)}</ul>
          <button type="button" class="danger" ?disabled=${this.busy} @click=${end('', page.allEnded)}>${page.endAll}</button>`}
    </section>`
  }

  #events (events: readonly LoggedEvent[]): TemplateResult {
    const { t } = this
    return html`<section class="card stack"><h2>${t.logTitle}</h2>
      <ul class="list">${events.map((event) => html`<li><div>${eventText(t, event.kind)}
        ${event.deviceName === null ? nothing : html`<strong dir="auto">${event.deviceName}</strong>`}
        ${event.detail === null ? nothing : html`<span class="muted" dir="auto">${event.detail}</span>`}</div>
        <p class="muted small">${this.date(event.at)} · ${this.origin(event)}</p></li>`)}</ul></section>`
  }
}

export const defineStaff = (): void => { define('cs-staff', CsStaff) }
