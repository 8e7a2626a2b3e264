import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { ApiError } from './api.js'
import { CsElement, define } from './element.js'
import { agentText, fill } from './messages/index.js'

export interface ListedSession {
  id: string
  ip: string
  agent: string
  startedAt: string
  lastSeenAt: string
  isVerified: boolean
  isThis?: boolean
}

/** Sessions of the account, with a button to end each of them. */
export class CsSessions extends CsElement {
  static override properties: PropertyDeclarations = { sessions: { state: true } }

  declare private sessions: readonly ListedSession[] | null

  constructor () {
    super()
    this.sessions = null
  }

  override connectedCallback (): void {
    super.connectedCallback()
    void this.#loadIfFresh()
  }

  /** Shows the list at once if the proof is fresh. Else a button asks for one: nobody asked for the list yet. */
  async #loadIfFresh (): Promise<void> {
    await this.updateComplete
    await this.#load().catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error
    })
  }

  async #load (): Promise<void> {
    this.sessions = await this.callAccount<ListedSession[]>('GET', '/sessions')
  }

  protected override content (): TemplateResult {
    const { t, sessions } = this
    if (sessions === null) {
      return html`<div class="stack"><h2 tabindex="-1">${t.sessionsTitle}</h2><p>${t.sessionsText}</p>
        <button type="button" class="quiet" ?disabled=${this.busy} @click=${() => { void this.attempt(() => this.#load()) }}>
          ${t.showSessions}</button></div>`
    }
    return html`<div class="stack"><h2 tabindex="-1">${t.sessionsTitle}</h2>
      <ul class="list">${sessions.map((session) => this.#session(session))}</ul>
      ${sessions.length < 2
        ? nothing
        : html`<button type="button" class="danger" ?disabled=${this.busy} @click=${() => { this.#end('', t.othersEnded) }}>
          ${t.endOthers}</button>`}
    </div>`
  }

  #session ({ id, ip, agent, startedAt, lastSeenAt, isVerified, isThis }: ListedSession): TemplateResult {
    const { t } = this
    const name = agentText(t, agent)
    return html`<li><div class="spread">
        <div class="grow"><strong dir="auto">${name}</strong>
          ${isThis === true ? html`<span class="badge good">${t.thisSession}</span>` : nothing}
          ${isVerified ? html`<span class="badge">${t.verified}</span>` : nothing}</div>
        ${isThis === true
          ? nothing
          : html`<button type="button" class="plain" ?disabled=${this.busy} aria-label=${fill(t.endNamed, { name })}
            @click=${() => { this.#end(`/${id}`, t.sessionEnded) }}>${t.end}</button>`}
      </div>
      <p class="muted small"><bdi>${ip}</bdi> · ${t.started} ${this.date(startedAt)} · ${t.lastSeen} ${this.date(lastSeenAt)}</p></li>`
  }

  #end (path: string, notice: string): void {
    void this.attempt(async () => {
      await this.callAccount('DELETE', `/sessions${path}`)
      await this.#load()
      this.notice = notice
      await this.focusOn('h2')
    })
  }
}

export const defineSessions = (): void => { define('cs-sessions', CsSessions) }
