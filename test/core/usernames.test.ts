import t from 'tap'
import { usernameKey } from '../../src/core/usernames.js'

/** [one spelling, another, one person?] */
const spellings = [
  ['Ada', 'ADA', true],
  ['ada', 'ａｄａ', true], // full width
  ['zoé', 'zoe\u0301', true], // composed and not
  ['straße', 'STRAßE', true],
  ['kelvin', '\u212Aelvin', true], // the Kelvin sign is a K
  ['ﬁona', 'fiona', true], // a ligature
  ['ΘΩΜΆΣ', 'θωμάς', true], // a sigma at the end of a word
  ['θωμάς', 'θωμάσ', true],
  ['\u01F0o', 'J\u030Co', true], // a letter whose capital is two characters
  ['ada', 'adа', false], // a Cyrillic а: another letter, however alike
  ['ada', 'ada ', false],
  ['ada', 'ada.', false],
  ['a.da', 'ada', false]
] as const

t.test('names are one whatever their case and width, and only then', async (t) => {
  for (const [one, another, same] of spellings) t.equal(usernameKey(one) === usernameKey(another), same, `${one} ${another}`)
})

t.test('a key is its own key: no character that a name may hold leads on to a third spelling', async (t) => {
  const unstable: string[] = []
  for (let point = 0; point < 0x110000; point++) {
    const character = point >= 0xd800 && point < 0xe000 ? '' : String.fromCodePoint(point)
    if (/^[\p{L}\p{N}@.+_-]$/u.test(character) && usernameKey(usernameKey(character)) !== usernameKey(character)) unstable.push(character)
  }
  t.same(unstable, [])
})
