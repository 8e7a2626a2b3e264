import { html, type TemplateResult } from 'lit'
import qrcode from 'qrcode/lib/core/qrcode.js'

/** Modules of white around the code (ISO/IEC 18004 §9.1). */
const QUIET = 4

/** Draws a QR code. It stays black on white in dark mode: many scanners read no inverted ones. */
export function qrCode (text: string, label: string): TemplateResult {
  const { modules: { size, get }, modules } = qrcode.create(text, { errorCorrectionLevel: 'M' })
  let path = ''
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      if (get.call(modules, row, column) !== 0) path += `M${column + QUIET} ${row + QUIET}h1v1h-1z`
    }
  }
  const side = size + 2 * QUIET
  return html`<svg class="qr" role="img" aria-label=${label} viewBox="0 0 ${side} ${side}" shape-rendering="crispEdges">
    <path fill="#fff" d="M0 0h${side}v${side}h-${side}z"/><path fill="#000" d=${path}/></svg>`
}
