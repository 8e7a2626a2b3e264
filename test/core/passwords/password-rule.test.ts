import { dictionary } from '@zxcvbn-ts/language-common'
import t from 'tap'
import { passwordFault } from '../../../src/core/passwords/password-rule.js'
import { normalisePassword, PASSWORD_MAX_LENGTH } from '../../../src/core/passwords/passwords.js'

const faultOf = (password: string, { username = 'ada', minLength = 8, words = [] as string[], names = [] as string[] } = {}) =>
  passwordFault(normalisePassword(password), { username, names }, { minLength, words, isBreached: null })

/** [name, password, fault] with a shortest length of eight characters. */
const table = [
  ['seven characters', 'kwzjvqx', 'too short'],
  ['eight characters', 'kwzjvqxp', null],
  ['eight bytes, four characters', 'éàüö', 'too short'],
  ['seven emoji are fourteen halves, but seven characters', '🦊🐙🦉🐳🦜🐢🦋', 'too short'],
  ['eight emoji', '🦊🐙🦉🐳🦜🐢🦋🐝', null],
  ['eight once composed', 'e\u0301'.repeat(8), null],
  ['seven once composed', 'e\u0301'.repeat(7), 'too short'],
  ['the longest', 'x'.repeat(PASSWORD_MAX_LENGTH - 1) + 'y', null],
  ['the longest in emoji, 4 KiB', '🦊'.repeat(PASSWORD_MAX_LENGTH), null],
  ['one more', 'x'.repeat(PASSWORD_MAX_LENGTH + 1), 'too long'],
  ['a common one', 'password', 'common'],
  ['whatever its case', 'PassWord', 'common'],
  ['another', 'iloveyou1', 'common'],
  ['the username', 'grace.hopper', 'the username'],
  ['whatever its case', 'Grace.Hopper', 'the username'],
  ['and its width', 'ｇｒａｃｅ.ｈｏｐｐｅｒ', 'the username'],
  ['what merely holds the username', 'grace.hopper grace.hopper', null]
] as const

t.test('P1 length in characters, a list of common ones, not the username', async (t) => {
  for (const [what, password, fault] of table) t.equal(await faultOf(password, { username: 'grace.hopper' }), fault, what)
})

/** [password, fault] with the context words `countersign`, `Example Bank` and `examplebank`, and a user Ada Lovelace. */
const inContext = [
  ['countersign', 'made of names'],
  ['CounterSign2026!', 'made of names'],
  ['2026-countersign-2026', 'made of names'],
  ['Example Bank 1', 'made of names'],
  ['examplebank99', 'made of names'],
  ['ada lovelace', 'made of names'],
  ['Lovelace_1815', 'made of names'],
  ['countersigned', null],
  ['lovelace wrote notes', null],
  ['1234567890123', null],
  ['♥countersign', null]
] as const

t.test('P1 nothing but context words, digits and punctuation is refused; a word within a longer text is not', async (t) => {
  const rule = { words: ['countersign', 'Example Bank', 'examplebank'], names: ['Ada', 'Lovelace', 'Li'] }
  for (const [password, fault] of inContext) t.equal(await faultOf(password, { ...rule, username: 'x' }), fault, password)
  t.equal(await faultOf('li 1234567', { ...rule, username: 'x' }), null, 'too short a word')
})

t.test('P1 no rules of composition: any character, any mix', async (t) => {
  const lone = [
    'kqzwxvjp', 'KQZWXVJP', '73920461', '!?§$%&/=', '        ', 'пожалуйста не', 'ありがとうございます', 'nul\0nul\0', 'tab\tnew\nline',
    '"\\\'`; --'
  ]
  for (const password of lone) t.equal(await faultOf(password), null, JSON.stringify(password))
})

t.test('P1 the least length is a setting', async (t) => {
  t.equal(await faultOf('kwzjvqxpkwzjvq', { minLength: 15 }), 'too short')
  t.equal(await faultOf('kwzjvqxpkwzjvqx', { minLength: 15 }), null)
})

t.test('P1 one text for one password, and only canonical equivalence', async (t) => {
  t.equal(normalisePassword('cafe\u0301'), normalisePassword('café'))
  t.equal(normalisePassword('\u212B'), normalisePassword('Å'))
  t.not(normalisePassword('ﬁ'), normalisePassword('fi'), 'NFC, not NFKC: a ligature is another character')
  t.not(normalisePassword('Café'), normalisePassword('café'))
  t.not(normalisePassword('café '), normalisePassword('café'))
})

t.test('P1 every entry of the list is found as it stands', async (t) => {
  const list = dictionary['passwords-common'] as string[]
  t.ok(list.length > 3000, 'ASVS 6.2.4: at least the top 3000')
  for (const password of list) if ([...password].length >= 8 && await faultOf(password) !== 'common') t.fail(password)
})
