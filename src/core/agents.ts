import bowser from 'bowser'
import { shortened } from './texts.js'

/** Most characters of a user agent that are shown: one line. Control characters are removed, since a terminal would obey them. */
const MOST_CHARACTERS = 64

/** Returns a readable name for a user agent: `Firefox on Linux`, `curl`, `Unknown`. For lists that people read; never used to decide. */
export function shownAgent (agent: string): string {
  if (agent.trim() === '') return 'Unknown'
  const { browser, os } = bowser.parse(agent)
  const name = browser.name || product(agent)
  const shown = os.name === undefined ? name : `${name} on ${os.name}`
  return shortened(shown.replace(/\p{C}/gu, ''), MOST_CHARACTERS).trim() || 'Unknown'
}

/** Returns `curl` for `curl/8.5.0`: the name of a program that is not a browser. */
function product (agent: string): string {
  return /^[\w.-]+/.exec(agent)?.[0] ?? 'Unknown'
}
