import { css, html, nothing, type CSSResultGroup, type PropertyDeclarations, type TemplateResult } from 'lit'
import { CsElement, define } from './element.js'
import { styles } from './styles.js'

/** Everything that people manage by themselves. Without `account` it is the second factor alone, as attached hosts have it. */
export class CsSecurity extends CsElement {
  static override styles: CSSResultGroup = [styles, css`
    .parts { display: grid; gap: 1.5rem }
    .parts > * { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); padding: 1.5rem }
    @media (max-width: 30rem) { .parts > * { padding: 1rem } }
  `]

  static override properties: PropertyDeclarations = { kinds: {}, mail: { type: Boolean } }

  declare kinds: string
  declare mail: boolean

  constructor () {
    super()
    Object.assign(this, { kinds: 'totp passkey', mail: false })
  }

  protected override content (): TemplateResult {
    return html`<div class="parts">
      <cs-factors .kinds=${this.kinds}></cs-factors>
      ${this.account === null
        ? nothing
        : html`<cs-sessions></cs-sessions><cs-password></cs-password><cs-email .mail=${this.mail}></cs-email><cs-log></cs-log>`}
    </div>`
  }
}

export const defineSecurity = (): void => { define('cs-security', CsSecurity) }
