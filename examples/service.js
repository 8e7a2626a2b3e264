/* global location */
import '/elements.js'

const main = document.querySelector('main')
const form = document.querySelector('form')
const status = document.querySelector('[role=status]')
/** In memory alone: a reload signs out. */
let tokens
/** Refresh that is under way: requests that fail at once share it. */
let refreshing

/** Shows one element in place of the form. It asks for its state when it is in the page, so it gets its credential before. */
function show (name, properties = {}) {
  const element = Object.assign(document.createElement(name), {
    base: '/totp',
    authorize: async ({ headers }, isRetry) => {
      if (isRetry) await (refreshing ??= refresh({}).finally(() => { refreshing = undefined }))
      headers.set('authorization', `Bearer ${tokens.access}`)
    },
    ...properties
  })
  main.querySelector('form, cs-challenge, cs-security').replaceWith(element)
}

const enter = () => tokens.otpRequired && tokens.otpMethods.length > 0
  ? show('cs-challenge', { methods: tokens.otpMethods, expiresAt: tokens.otpExpiresAt, extend })
  : show('cs-security', { account: '/account' })

const post = (path, body) =>
  fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** Gets new tokens in place of those of the session. If that is refused, the next request is too, and the elements say why. */
async function refresh (options) {
  const response = await post('/token/refresh', { refresh: tokens.refresh, ...options })
  if (response.ok) tokens = await response.json()
}

/** Gives the user more time for the code. */
async function extend () {
  await refresh({ extend: true })
  return tokens.otpExpiresAt
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const response = await post('/token', Object.fromEntries(new FormData(form)))
  const answer = await response.json()
  status.textContent = response.ok ? '' : answer.message
  if (!response.ok) return
  tokens = answer
  enter()
})

document.addEventListener('cs-session', ({ detail }) => { tokens = detail.answer })
main.addEventListener('cs-verified', ({ target }) => { if (target.localName === 'cs-challenge') enter() })
document.addEventListener('cs-ended', () => { location.reload() })
