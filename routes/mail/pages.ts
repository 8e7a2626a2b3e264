import type { FastifyPluginAsync } from 'fastify'
import { texts } from '../../src/core/messages/mail-pages/index.js'
import type { Language } from '../../src/core/notices/texts.js'
import type { MessageSettings } from '../../src/events/mail/message.js'
import { pageHeaders, rootOf } from '../site/document.js'
import { varyBy } from '../site/vary.js'
import { acceptedLanguage } from '../users/language.js'

/** Paths of the pages to which links lead. An operator's own pages have other paths. */
export const ownPaths = {
  verify_email: '/verify-email',
  reset_password: '/reset-password',
  undo_email_change: '/undo-email-change'
} as const satisfies MessageSettings['paths']

export interface PageRoutesOptions {
  /** Paths in links; a page is served where it is ours. */
  paths: MessageSettings['paths']
}

type Kind = keyof typeof ownPaths
/** Operation that the button of each page calls, by an address relative to the service. */
const actions: Readonly<Record<Kind, string>> = {
  verify_email: 'account/email/confirm', reset_password: 'password/reset', undo_email_change: 'account/email/undo'
}

function documentOf (kind: Kind, language: Language, root: string): string {
  const { [kind]: { title, text, button, done }, newPassword, incomplete, noAnswer, needsScript } = texts[language]
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="${root}mail-page.css">
<script src="${root}mail-page.js" defer></script>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${text}</p>
<form data-action="${root}${actions[kind]}" data-done="${done}" data-incomplete="${incomplete}" data-no-answer="${noAnswer}">
${kind === 'reset_password'
  ? `<label for="password">${newPassword}</label>
<input id="password" type="password" autocomplete="new-password" required maxlength="1024">
`
  : ''}<button type="submit">${button}</button>
</form>
<p id="result" role="status" tabindex="-1"></p>
<noscript><p>${needsScript}</p></noscript>
</main>
</body>
</html>
`
}

/** Reads the token from the fragment and removes it from the address; sends it only when the button is pressed. */
const script = `'use strict'
const token = new URLSearchParams(location.hash.slice(1)).get('token')
history.replaceState(null, '', location.pathname)
const form = document.querySelector('form')
const button = form.querySelector('button')
const password = document.getElementById('password')
const result = document.getElementById('result')

function show (text) {
  result.textContent = text
  result.focus()
}

if (token === null) {
  form.hidden = true
  show(form.dataset.incomplete)
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  button.disabled = true
  try {
    const answer = await fetch(form.dataset.action, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'accept-language': document.documentElement.lang },
      body: JSON.stringify(password === null ? { token } : { token, next: password.value })
    })
    if (answer.ok) {
      form.hidden = true
      show(form.dataset.done)
    } else {
      const { message } = await answer.json()
      show(message)
    }
  } catch {
    show(form.dataset.noAnswer)
  } finally {
    button.disabled = false
  }
})
`

/** The look of the other pages: pages/service/page.css. */
const style = `:root {
  color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif;
  background: light-dark(#f3f5f9, #0f1520); color: light-dark(#111827, #e8ecf4);
}
main {
  max-width: 24.5rem; margin: 10vh auto; padding: 1.75rem; border-radius: 14px;
  background: light-dark(#fff, #161d2b); border: 1px solid light-dark(#d5dae3, #313c50);
}
h1 { margin: 0; font-size: 1.625rem; line-height: 1.2; text-wrap: balance }
form { display: grid; gap: .5rem }
label { font-weight: 600 }
input, button { font: inherit; color: inherit; padding: .5rem .75rem; min-height: 2.75rem; border-radius: 7px; box-sizing: border-box }
input { background: light-dark(#fff, #161d2b); border: 1px solid light-dark(#737d8f, #7d8aa3) }
button { font-weight: 600; background: light-dark(#1d4ed8, #93b4ff); color: light-dark(#fff, #0b1220); border: 0; margin-top: .5rem }
:focus-visible { outline: 3px solid light-dark(#1d4ed8, #93b4ff); outline-offset: 2px }
#result:focus { outline: none }
form[hidden] { display: none }
@media (max-width: 30rem) { main { margin: 1rem .75rem; padding: 1.125rem } }
`

/** Plain pages that send the token of a link when a button is pressed. Opening one changes nothing: mail scanners open links. */
const pageRoutes: FastifyPluginAsync<PageRoutesOptions> = async (app, { paths }) => {
  const serve = (path: string, type: string, contentIn: (language: Language, root: string) => string) => {
    app.get(path, {
      schema: { hide: true },
      handler: (request, reply) => {
        reply.headers(pageHeaders).type(`${type}; charset=utf-8`)
        varyBy(reply, 'accept-language')
        return reply.send(contentIn(acceptedLanguage(request) ?? 'en', rootOf(request)))
      }
    })
  }
  const own = (Object.keys(ownPaths) as Kind[]).filter((kind) => paths[kind] === ownPaths[kind])
  for (const kind of own) serve(ownPaths[kind], 'text/html', (language, root) => documentOf(kind, language, root))
  if (own.length === 0) return
  serve('/mail-page.js', 'text/javascript', () => script)
  serve('/mail-page.css', 'text/css', () => style)
}

export default pageRoutes
