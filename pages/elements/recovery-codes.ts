import { html, nothing, type TemplateResult } from 'lit'
import type { Messages } from './messages/index.js'

/** Shows new recovery codes, with buttons to copy, print and keep them as a text file. */
export function recoveryCodes (codes: readonly string[], t: Messages, said: (notice: string) => void): TemplateResult {
  const text = `${t.recoveryTitle} · ${location.host}\n\n${codes.join('\n')}\n`
  const copy = () => {
    navigator.clipboard.writeText(text).then(() => { said(t.copied) }, () => { said(t.notCopied) })
  }
  return html`
    <ol class="codes" dir="ltr" aria-label=${t.recoveryTitle}>${codes.map((code) => html`<li><code>${code}</code></li>`)}</ol>
    <div class="row">
      ${isSecureContext ? html`<button type="button" class="quiet" @click=${copy}>${t.copy}</button>` : nothing}
      <button type="button" class="quiet" @click=${() => { printText(text) }}>${t.print}</button>
      <button type="button" class="quiet" @click=${() => { download(text, 'recovery-codes.txt') }}>${t.download}</button>
    </div>`
}

/** Prints a text alone: the page around it does not belong on the paper. */
export function printText (text: string): void {
  const frame = document.createElement('iframe')
  frame.hidden = true
  document.body.append(frame)
  const { contentWindow, contentDocument } = frame
  const paper = contentDocument!.createElement('pre')
  paper.textContent = text
  contentDocument!.body.append(paper)
  contentWindow!.addEventListener('afterprint', () => { frame.remove() })
  contentWindow!.print()
}

function download (text: string, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
