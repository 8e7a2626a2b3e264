/* global location */
import '/elements.js'

const main = document.querySelector('main')
const form = document.querySelector('form')
const status = document.querySelector('[role=status]')
/** In memory alone: a reload signs out. */
let tokens

/** Shows one element in place of the form. It asks for its state when it is in the page, so it gets its credential before. */
function show (name, properties = {}) {
  const element = Object.assign(document.createElement(name), {
    base: '/totp',
    authorize: ({ headers }) => { headers.set('authorization', `Bearer ${tokens.access}`) },
    ...properties
  })
  main.querySelector('form, cs-challenge, cs-security').replaceWith(element)
}

const enter = () => tokens.otpRequired && tokens.otpMethods.length > 0
  ? show('cs-challenge', { methods: tokens.otpMethods, expiresAt: tokens.otpExpiresAt, extend })
  : show('cs-security', { account: '/account' })

const post = (path, body) =>
  fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** Gives the user more time for the code. */
async function extend () {
  const response = await post('/token/refresh', { refresh: tokens.refresh, extend: true })
  if (response.ok) tokens = await response.json()
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
