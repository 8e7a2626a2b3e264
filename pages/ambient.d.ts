/** The part of the package `qrcode` that computes a code and draws nothing. */
declare module 'qrcode/lib/core/qrcode.js' {
  interface Code { modules: { size: number, get (row: number, column: number): number } }
  const qrcode: { create (text: string, options: { errorCorrectionLevel: 'L' | 'M' | 'Q' | 'H' }): Code }
  export default qrcode
}

/** Node's and Chromium's own: `src/core/refusals.ts` reads it, and only at the service. */
interface ErrorConstructor { stackTraceLimit: number }
