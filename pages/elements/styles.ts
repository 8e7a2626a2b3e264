import { css } from 'lit'

/**
 * One look for all elements, and for the pages of the service (`.cs`). `light-dark()` follows the `color-scheme` of the page. The
 * custom properties that begin with `--cs-` are the page's to set.
 */
export const styles = css`
  :host, .cs {
    --accent: var(--cs-accent, light-dark(#1d4ed8, #93b4ff));
    --on-accent: var(--cs-on-accent, light-dark(#fff, #0b1220));
    --text: var(--cs-text, light-dark(#111827, #e8ecf4));
    --muted: var(--cs-muted, light-dark(#4b5563, #a8b3c7));
    --surface: var(--cs-surface, light-dark(#fff, #161d2b));
    --sunken: var(--cs-sunken, light-dark(#f3f5f9, #0f1520));
    --line: var(--cs-line, light-dark(#d5dae3, #313c50));
    --edge: var(--cs-edge, light-dark(#737d8f, #7d8aa3));
    --danger: var(--cs-danger, light-dark(#b42318, #ff9d93));
    --good: var(--cs-good, light-dark(#0b6b3a, #7fd8a4));
    --radius: var(--cs-radius, 10px);
    display: block;
    color: var(--text);
    font: var(--cs-font, 1rem/1.5 system-ui, sans-serif);
    overflow-wrap: anywhere;
  }
  :host([hidden]), [hidden] { display: none }
  * { box-sizing: border-box }
  h2, h3 { margin: 0; line-height: 1.25; text-wrap: balance }
  h2 { font-size: 1.25rem }
  h3 { font-size: 1rem }
  h2:focus, h3:focus, p:focus { outline: none }
  p, ul, ol { margin: 0 }
  .muted { color: var(--muted) }
  .small { font-size: .875rem }
  .stack, form { display: grid; gap: 1rem; justify-items: start }
  form { width: 100% }
  .stack > *, form > * { max-width: 100% }
  .stack > h3:not(:first-child) { margin-top: .75rem }
  .row { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center }
  .field { display: grid; gap: .25rem; width: 100% }
  label, .label { font-weight: 600 }
  input:not([type=checkbox]) {
    font: inherit; color: inherit; background: var(--surface); width: 100%; min-height: 2.75rem; padding: .5rem .75rem;
    border: 1px solid var(--edge); border-radius: calc(var(--radius) * .7);
  }
  input.code { font-size: 1.375rem; letter-spacing: .2em; max-width: 14rem; font-variant-numeric: tabular-nums }
  input[type=checkbox] { width: 1.5rem; height: 1.5rem; margin: 0; flex: none; accent-color: var(--accent) }
  .check { display: flex; gap: .75rem; align-items: center; min-height: 2.75rem; font-weight: 400 }
  button, a.button {
    font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1.125rem; border-radius: calc(var(--radius) * .7); cursor: pointer;
    display: inline-flex; align-items: center; justify-content: center; gap: .5rem; text-decoration: none;
    background: var(--accent); color: var(--on-accent); border: 1px solid transparent;
  }
  button.quiet, a.button { background: transparent; color: var(--text); border-color: var(--edge) }
  button.plain {
    background: transparent; color: var(--accent); padding-inline: .5rem; margin-inline-start: -.5rem; border: 0; text-align: start;
  }
  button.danger { background: transparent; color: var(--danger); border-color: currentColor }
  button:hover:not([disabled]), a.button:hover { filter: brightness(1.08) }
  button.quiet:hover:not([disabled]), button.danger:hover:not([disabled]), a.button:hover { background: var(--sunken) }
  button.plain:hover:not([disabled]) { text-decoration: underline }
  button[disabled] { opacity: .55; cursor: default }
  /* What has the focus is not below the notice, which stays at the edge of the window (WCAG 2.4.11). */
  button, input, a { scroll-margin-block: 6rem }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
  .choices { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); width: 100% }
  .choice {
    display: grid; justify-items: start; align-content: start; text-align: start; gap: .25rem; padding: 1rem; width: 100%;
    background: var(--surface); color: var(--text); border: 1px solid var(--edge); border-radius: var(--radius);
  }
  .choice span { font-weight: 400; color: var(--muted); font-size: .9375rem }
  .choice:hover:not([disabled]) { border-color: var(--accent); filter: none; background: var(--sunken) }
  .qr { display: block; width: 13.5rem; max-width: 100%; height: auto; border-radius: var(--radius); border: 1px solid var(--line) }
  .split { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13.5rem), 1fr)); width: 100% }
  code { font: 1.0625rem/1.6 ui-monospace, monospace; letter-spacing: .02em }
  .secret { display: flex; flex-wrap: wrap; gap: 0 .75em }
  .codes {
    list-style: none; padding: .875rem 1rem; background: var(--sunken); border: 1px solid var(--line); border-radius: var(--radius);
    display: grid; gap: .25rem; width: 100%; container-type: inline-size;
  }
  /* A code of 29 characters stays in one line. */
  .codes code { font-size: min(1.0625rem, 5.6cqi); letter-spacing: 0 }
  .list {
    list-style: none; padding: 0; width: 100%; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface);
  }
  .list > li { padding: .875rem 1rem; display: grid; gap: .375rem }
  .list > li + li { border-top: 1px solid var(--line) }
  .spread { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; width: 100% }
  .grow { flex: 1 1 12rem; min-width: 0 }
  .badge {
    /* In a line from right to left, it comes after a name from left to right. */
    display: inline-block;
    font-size: .8125rem; font-weight: 600; padding: .125rem .5rem; border-radius: 1rem; border: 1px solid currentColor;
    color: var(--muted);
  }
  .badge.good { color: var(--good) }
  .badge.bad { color: var(--danger) }
  .fault:not(:empty), .notice:not(:empty) { position: sticky; bottom: .75rem }
  .fault:empty, .notice:empty { position: absolute }
  .fault p, .notice p {
    padding: .75rem 1rem; border-radius: var(--radius); border: 1px solid currentColor; margin-top: 1rem; background: var(--surface);
  }
  .fault p { color: var(--danger) }
  .notice p { color: var(--good) }
  .timer { font-variant-numeric: tabular-nums }
  dialog {
    color: inherit; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); padding: 1.5rem;
    width: min(28rem, calc(100vw - 2rem)); max-height: calc(100dvh - 2rem); overflow: auto;
  }
  dialog::backdrop { background: rgb(0 0 0 / 55%) }
  dialog .plain { margin-top: .75rem }
  .sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
  @media (prefers-reduced-motion: no-preference) { button, .choice { transition: background-color .15s, border-color .15s } }
  @media (forced-colors: active) { button, .choice, input { border-color: ButtonText } }
`
