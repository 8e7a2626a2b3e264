import bowser from 'bowser'

/** What a client may say of itself is shown to people: no more of it than fits a line, and nothing that a terminal obeys. */
const MOST_CHARACTERS = 64

/** A user agent in words: `Firefox on Linux`, `curl`, `Unknown`. For people to recognise their own by; never used to decide. */
export function shownAgent (agent: string): string {
  if (agent.trim() === '') return 'Unknown'
  const { browser, os } = bowser.parse(agent)
  const name = browser.name || product(agent)
  const shown = os.name === undefined ? name : `${name} on ${os.name}`
  return shown.replace(/\p{C}/gu, '').slice(0, MOST_CHARACTERS).trim() || 'Unknown'
}

/** `curl` of `curl/8.5.0`: programs have no browser's name. */
function product (agent: string): string {
  return /^[\w.-]+/.exec(agent)?.[0] ?? 'Unknown'
}
