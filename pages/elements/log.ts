import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit'
import { CsElement, define } from './element.js'
import { eventText } from './messages/index.js'

export interface LoggedEvent {
  id: string
  kind: string
  at: string
  ip: string
  agent: string
  deviceName: string | null
  detail: string | null
  count?: number
}
interface Page { events: readonly LoggedEvent[], nextCursor: string | null }

const PER_PAGE = 10

/** Security events of the account, the newest first. */
export class CsLog extends CsElement {
  static override properties: PropertyDeclarations = { events: { state: true }, cursor: { state: true } }

  declare private events: readonly LoggedEvent[]
  declare private cursor: string | null

  constructor () {
    super()
    Object.assign(this, { events: [], cursor: null })
  }

  override connectedCallback (): void {
    super.connectedCallback()
    void this.attempt(async () => {
      await this.updateComplete
      await this.#load(null)
    })
  }

  /** @param cursor null for the first page, which replaces what is shown: an element that is moved is connected again */
  async #load (cursor: string | null): Promise<void> {
    const more = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page = await this.callAccount<Page>('GET', `/security-events?limit=${PER_PAGE}${more}`)
    Object.assign(this, { events: [...(cursor === null ? [] : this.events), ...page.events], cursor: page.nextCursor })
  }

  protected override content (): TemplateResult {
    const { t } = this
    return html`<div class="stack"><h2>${t.logTitle}</h2>
      <ul class="list">${this.events.map((event) => html`<li>
        <div>${eventText(t, event.kind)}${event.count === undefined ? nothing : html` × ${event.count}`}
          ${event.deviceName === null ? nothing : html`<strong dir="auto">${event.deviceName}</strong>`}</div>
        <p class="muted small">${this.date(event.at)} · ${this.origin(event)}</p></li>`)}</ul>
      ${this.cursor === null
        ? nothing
        : html`<button type="button" class="quiet" ?disabled=${this.busy}
          @click=${() => { void this.attempt(() => this.#load(this.cursor)) }}>${t.more}</button>`}
    </div>`
  }
}

export const defineLog = (): void => { define('cs-log', CsLog) }
