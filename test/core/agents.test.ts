import t from 'tap'
import { shownAgent } from '../../src/core/agents.js'

/** [header, shown name] */
const agents = [
  ['Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Firefox on Linux'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36', 'Chrome on Windows'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 ' +
    'Safari/604.1', 'Safari on iOS'],
  ['Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36',
    'Chrome on Android'],
  ['curl/8.5.0', 'curl'],
  ['lightMyRequest', 'lightMyRequest'],
  ['', 'Unknown'],
  [' \t ', 'Unknown'],
  ['\u001b[31m', 'Unknown'],
  ['(((((', 'Unknown']
] as const

t.test('a browser and its system, a program by its name, nothing that a terminal obeys', async (t) => {
  for (const [agent, shown] of agents) t.equal(shownAgent(agent), shown, JSON.stringify(agent))
  const hostile = [
    '\u001b]0;evil\u0007bot/1.0 x', 'a\u0000b/1 (x) ', 'x\u202e/1.0 (\u001b[2J) y/2 ', `${'x'.repeat(250)}/1 y`, '<b>/1 y ', '\ud800/1 y'
  ]
  for (const agent of hostile) {
    const shown = shownAgent(agent)
    t.notMatch(shown, /\p{C}/u, JSON.stringify(agent))
    t.ok(shown.length > 0 && shown.length <= 64, JSON.stringify(shown))
  }
})
