import type { FastifyRequest } from 'fastify'
import type { Language } from '../../src/core/notices/texts.js'
import type { Assets } from './assets.js'

/** Facts that the scripts of the pages read from the document. */
export interface PageFacts {
  /** Name of the service, as authenticator apps show it. */
  name: string
  signUp: boolean
  mail: boolean
  passkeys: boolean
  passwordMinLength: number
}

/** Shown without JavaScript. */
const needsScript: Readonly<Record<Language, string>> = {
  en: 'This page needs JavaScript. It loads scripts from this server alone.',
  de: 'Diese Seite braucht JavaScript. Sie lädt Skripte nur von diesem Server.',
  fr: 'Cette page a besoin de JavaScript. Elle ne charge de scripts que de ce serveur.',
  es: 'Esta página necesita JavaScript. Solo carga scripts de este servidor.',
  pt: 'Esta página precisa de JavaScript. Só carrega scripts deste servidor.',
  ja: 'このページには JavaScript が必要です。スクリプトはこのサーバーからのみ読み込まれます。'
}

/** Nothing inline, nothing from elsewhere, in no frame. `lit-html` is the policy by which Lit writes its constant templates. */
const POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'", "base-uri 'none'",
  "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", 'trusted-types lit-html'
].join('; ')

export const pageHeaders = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cache-control': 'no-cache'
}

/** Address of the service, relative to a page. With a slash at its end, a page is in a folder. */
export function rootOf ({ url }: FastifyRequest): './' | '../' {
  const path = url.split('?', 1)[0]!
  return path !== '/' && path.endsWith('/') ? '../' : './'
}

/**
 * Returns the document of a page. All addresses in it are relative, so that it works below any prefix of a proxy.
 *
 * @param root address of the service, relative to the page: `./` or `../`
 */
export function documentOf (facts: PageFacts, assets: Assets, language: Language, root: './' | '../'): string {
  const asset = (name: string) => `${root}assets/${assets.nameOf(name)}`
  const data = {
    root,
    name: facts.name,
    'sign-up': facts.signUp ? 'on' : 'off',
    mail: facts.mail ? 'on' : 'off',
    kinds: facts.passkeys ? 'totp passkey' : 'totp',
    'password-min-length': String(facts.passwordMinLength)
  }
  return `<!doctype html>
<html lang="${language}" ${Object.entries(data).map(([name, value]) => `data-${name}="${escapeHtml(value)}"`).join(' ')}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(facts.name)}</title>
<link rel="icon" type="image/svg+xml" href="${asset('icon.svg')}">
<link rel="stylesheet" href="${asset('page.css')}">
<script type="module" src="${asset('app.js')}"></script>
</head>
<body>
<noscript><h1>${escapeHtml(facts.name)}</h1><p>${needsScript[language]}</p></noscript>
<cs-app class="cs"></cs-app>
</body>
</html>
`
}

function escapeHtml (text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
