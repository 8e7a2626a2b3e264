import fc from 'fast-check'
import { isMailable, parseMailbox } from '../../../src/core/mailbox.js'
import { newName, soughtName, trimmedName } from '../../../src/core/normal-forms.js'
import { languageOf } from '../../../src/core/notices/index.js'
import { codeText, formatRecoveryCode, normaliseRecoveryCode, strengthOf } from '../../../src/core/recovery/recovery-codes.js'
import { setupDigest } from '../../../src/core/recovery/setup-codes.js'
import { checkTotp, normaliseTotp, standardTotp } from '../../../src/core/totp/totp.js'
import { normaliseUsername, soughtKeys, usernameKey } from '../../../src/core/usernames.js'
import { hotp } from '../../helpers/authenticator.js'
import { rule, textOf, type Target } from '../target.js'

const SECRET = Buffer.from('12345678901234567890')
/** Seconds at which the current step has the number 1, as in appendix D of RFC 4226. */
const NOW_SECONDS = 45
const RIGHT = [0, 1, 2].map((step) => hotp(SECRET, step, 6))
const RECOVERY = formatRecoveryCode(Buffer.from('0123456789abcdef0123456789abcd', 'hex'))
const LONGEST_NAME = 150
/** No route lets a longer code or name through. */
const LONGEST_TYPED = 4 * LONGEST_NAME

const words = [
  ...RIGHT, RECOVERY, RECOVERY.slice(0, 5), '287 082', 'O', 'I', 'l', '0', '٣', '１', '𝟘', '-', '–', '\u200b', '\u00ad', '\u3000', '.', '。',
  'ada@example.org', 'Ada <ada@example.org>', 'Σ', 'ς', 'İ', 'ß', 'ﬃ', '\u0301', '\u200d', '\ufe0f', '😀', 'pt-BR', 'abcdefgh'
]
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...words, ...'0123456789abcdefABCDEF '), maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 60 })
)

/** Codes, names and addresses as they are typed, and their normal forms. */
export const target: Target = {
  files: [
    'src/core/normal-forms.js', 'src/core/totp/totp.js', 'src/core/totp/otplib.js', 'src/core/recovery/recovery-codes.js',
    'src/core/recovery/setup-codes.js',
    'src/core/usernames.js', 'src/core/mailbox.js'
  ],
  words,
  arbitrary: fc.record({ text }),
  check (input) {
    const typed = textOf(input, 'text').slice(0, LONGEST_TYPED)
    checkCodes(typed)
    checkNames(typed)
    const mailbox = parseMailbox(typed)
    if (mailbox !== null) {
      const printed = mailbox.name === '' ? mailbox.address : `${mailbox.name} <${mailbox.address}>`
      rule(JSON.stringify(parseMailbox(printed)) === JSON.stringify(mailbox), 'a printed mailbox is read as another one')
      rule(isMailable(mailbox.address), 'a mailbox has an address to which nothing can be mailed')
    }
    const language = languageOf(typed)
    rule(language === null || languageOf(language) === language, 'a language has another language')
  }
}

function checkCodes (typed: string): void {
  const code = normaliseTotp(typed)
  if (code !== null) {
    rule(/^[0-9]{6,8}$/.test(code) && normaliseTotp(code) === code, 'the normal form of a code is no code')
    const { accepted } = checkTotp(SECRET, code, NOW_SECONDS, { ...standardTotp, lastStep: -1, window: 1 })
    rule(accepted === RIGHT.includes(code), 'a code is judged otherwise than by RFC 4226')
    rule(normaliseTotp(` ${code.slice(0, 3)}\u2013${code.slice(3)}\u200b`) === code, 'separators change a code')
  }
  for (const form of ['own', 'printed', 'django'] as const) {
    const symbols = codeText(form, typed)
    rule(symbols === null || codeText(form, symbols) === symbols, `the normal form of a code (${form}) has another normal form`)
  }
  const own = normaliseRecoveryCode(typed)
  rule((own === null) === (setupDigest(SECRET, 'ada', typed) === null), 'a set-up code is read otherwise than a recovery code')
  rule(own === null || strengthOf(own) === 'strong' || strengthOf(typed) !== 'weak', 'a code of our form counts as weak')
  codeText('sha512', typed)
}

function checkNames (typed: string): void {
  const sought = soughtName(typed, LONGEST_NAME)
  const fresh = newName(typed, LONGEST_NAME)
  rule(sought === null || soughtName(sought, LONGEST_NAME) === sought, 'the normal form of a name has another normal form')
  rule(fresh === null || (fresh === sought && [...fresh].length <= LONGEST_NAME), 'a new name is none that is found')
  rule(trimmedName(trimmedName(typed)) === trimmedName(typed), 'a trimmed name can be trimmed')
  const username = normaliseUsername(typed)
  if (username === null) return
  const key = usernameKey(username)
  rule(normaliseUsername(username) === username && usernameKey(key) === key, 'a username has two keys')
  rule(soughtKeys(typed).includes(key), 'a username is not found by the text that it was typed as')
}
