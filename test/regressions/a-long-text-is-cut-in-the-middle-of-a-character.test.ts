/**
 * Names that are too long were cut after a number of UTF-16 units: half an emoji is another character once it is stored or mailed,
 * and strict readers of JSON refuse it. A letter lost its accent. Notices had a space in place of the joiners of emoji and of Persian.
 */
import t from 'tap'
import { fieldFault } from '../../plugins/field-fault.js'
import { shownAgent } from '../../src/core/agents.js'
import { renderNotice } from '../../src/core/notices/index.js'
import { shortened } from '../../src/core/texts.js'
import { otpauthUrl, standardTotp } from '../../src/core/totp/totp.js'
import { readPerson } from '../../src/imports/jsonl/record.js'
import { translate } from '../../src/imports/keycloak/translate.js'

const DEVELOPER = '\u{1F469}\u200D\u{1F4BB}'
/** [text, most characters, its beginning] */
const cuts = [
  ['abcd', 4, 'abcd'],
  ['abcde', 4, 'abcd'],
  ['ab\u{1F511}', 3, 'ab\u{1F511}'],
  ['abc\u{1F511}', 3, 'abc'],
  ['abc\u{1F511}d', 4, 'abc\u{1F511}'],
  ['abce\u0301', 4, 'abc'],
  ['abce\u0301d', 5, 'abce\u0301'],
  [`ab${DEVELOPER}`, 4, 'ab'],
  ['e\u0301\u0302\u0303\u0304', 3, 'e\u0301\u0302'],
  ['\u{1F511}\u0301\u0302', 1, '\u{1F511}']
] as const

t.test('a text is cut between two visible characters', async (t) => {
  for (const [text, most, beginning] of cuts) t.equal(shortened(text, most), beginning, `${text} to ${most}`)
})

/** One unit, then pairs: a cut after an even number of units is in the middle of a pair. */
const keys = `a${'\u{1F511}'.repeat(200)}`
const isWhole = (text: string) => !/\p{Surrogate}/u.test(text) && text.includes('\u{1F511}')

t.test('names in notices, of programs, in codes, faults and imports are whole', async (t) => {
  const event = { kind: 'otp_enabled', at: new Date(0), ip: '192.0.2.1', agent: keys, deviceName: keys }
  const { subject, text } = renderNotice(event, { issuer: keys, name: keys })!
  t.ok(isWhole(subject) && isWhole(text))
  const [, label] = /Acme:(.*)\?/.exec(otpauthUrl('Acme', keys, new Uint8Array(20), standardTotp))!
  t.ok(isWhole(decodeURIComponent(label!)))
  t.notMatch(shownAgent(`Mozilla/5.0 ${keys}`), /\p{Surrogate}/u)
  const fault = { keyword: 'additionalProperties', instancePath: '', schemaPath: '', params: { additionalProperty: keys } }
  t.ok(isWhole((fieldFault(fault, 'body') as { field: string }).field))
  const person = translate({ username: 'ada', firstName: keys, lastName: keys, attributes: { phoneNumber: [keys] } })
  t.ok(isWhole(person.firstName) && isWhole(person.lastName) && isWhole(person.phone))
  t.equal([...person.firstName].length, 128, 'as long as the service takes it')
  const refused = await readPerson({ username: keys, email: 7 }, 1) as { username: string }
  t.ok(isWhole(refused.username))
})

t.test('joiners stay in a notice, other invisible characters do not', async (t) => {
  const event = { kind: 'otp_enabled', at: new Date(0), deviceName: `${DEVELOPER} \u202Eevil` }
  const { text } = renderNotice(event, { issuer: 'Acme', name: '\u0639\u0644\u06CC\u200C\u0631\u0636\u0627' })!
  t.ok(text.includes(DEVELOPER) && text.includes('\u06CC\u200C\u0631'))
  t.notMatch(text, /\u202E/)
})
