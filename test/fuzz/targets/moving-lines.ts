import fc from 'fast-check'
import { openJsonl } from '../../../src/imports/jsonl/source.js'
import { linesOf } from '../../../src/imports/jsonl/lines.js'
import { createLineSealer, openLines } from '../../../src/imports/jsonl/sealed.js'
import { SourceError, type Entry } from '../../../src/imports/person.js'
import { numberOf, rule, textOf, textsOf, type Input, type Target } from '../target.js'

/** Stands where a record has a secret: no note may contain it. */
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBV'
const KEY = Buffer.alloc(32, 7)
const HEADER = '{"format":"countersign-moving","version":1}'
const ES256 = 'pQECAyYgASFYIGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU'
const person = JSON.stringify({
  username: 'ada',
  email: 'ada@example.org',
  passwordHash: '$2b$04$abcdefghijklmnopqrstuuKOqWjvR6VrlhRIWRuUm4kCGRjc1VbSm',
  createdAt: '2026-01-02T03:04:05Z',
  profile: { firstName: 'Ada', lastName: 'L', phone: '1' },
  totp: [{ secret: { base32: SECRET }, confirmedAt: '2026-01-02T03:04:05.6Z', lastStep: 5 }],
  passkeys: [{ rpId: 'example.org', credentialId: 'AAAA', publicKey: ES256, signCount: 1, backupEligible: true, backedUp: false }],
  recoveryCodes: [{ code: 'abcd-efgh' }, { digest: 'x', algorithm: 'sha512' }]
})
const dates = fc.constantFrom('2026-01-02T03:04:05Z', '2026-13-45T25:61:61Z', '0000-00-00T00:00:00Z', '2026-01-02T03:04:05+99:99', null)
const secrets = fc.oneof(
  fc.record({ base32: fc.constantFrom(SECRET, 'A', '!') }), fc.record({ hex: fc.constantFrom('00ff', '0') }),
  fc.record({ text: fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }) }),
  fc.record({ otpauth: fc.constantFrom('?', '&digits=8', '&period=60').map((more) => `otpauth://totp/a?secret=${SECRET}${more}`) })
)
const names = fc.oneof(fc.constantFrom('ada', '', 'ada@example.org'), fc.string({ unit: 'binary', maxLength: 5 }))
const any = { requiredKeys: [] }
const people = fc.record({
  userId: names,
  username: names,
  externalId: names,
  email: fc.constantFrom('', 'ada@example.org', 'ada'),
  emailVerified: fc.boolean(),
  locale: fc.constantFrom('pt-BR', null, 'x'),
  profile: fc.record({ firstName: names, lastName: names, phone: names }, any),
  passwordHash: fc.constantFrom('!x', null, '$2b$04$x', 'md5$a$b'),
  createdAt: dates,
  isStaff: fc.boolean(),
  isActive: fc.boolean(),
  owesFactor: fc.boolean(),
  totp: fc.array(fc.record({
    secret: secrets,
    name: names,
    algorithm: fc.constantFrom('SHA1', 'SHA512', 'MD5'),
    digits: fc.integer({ min: 5, max: 9 }),
    periodSeconds: fc.constantFrom(0, 1, 30, 60, 2 ** 31 - 1),
    t0Seconds: fc.constantFrom(0, -(2 ** 31) + 1, 2 ** 31 - 1),
    lastStep: fc.constantFrom(-1, 0, 60_000_000, 2 ** 31 - 1),
    confirmedAt: dates,
    lastUsedAt: dates,
    otherSecret: secrets
  }, { requiredKeys: ['secret'] }), { maxLength: 2 }),
  passkeys: fc.array(fc.record({
    rpId: fc.constantFrom('example.org', ''),
    credentialId: fc.constantFrom('AAAA', 'A', '='),
    publicKey: fc.constantFrom(ES256, 'AAAA', 'oA'),
    signCount: fc.constantFrom(0, 2 ** 32 - 1, -1),
    backupEligible: fc.boolean(),
    backedUp: fc.boolean(),
    userHandle: fc.constantFrom('AA', 'A'),
    name: names,
    confirmedAt: dates,
    lastUsedAt: dates
  }, { requiredKeys: ['rpId', 'credentialId', 'publicKey', 'signCount', 'backupEligible', 'backedUp'] }), { maxLength: 2 }),
  recoveryCodes: fc.array(fc.record({
    code: names,
    digest: fc.constantFrom('x', 'A'.repeat(43)),
    algorithm: fc.constantFrom('sha512'),
    key: fc.constantFrom('A'.repeat(43), 'AA'),
    userId: names,
    form: fc.constantFrom('own', 'printed', 'django', 'sha512'),
    weak: fc.boolean(),
    usedAt: dates
  }, any), { maxLength: 2 })
}, any)
const words = [
  HEADER, person, SECRET, '"username":', '"email":', '"totp":[', '"secret":{"otpauth":"otpauth://totp/a?secret=', '"text":', '"hex":"00"',
  '"passkeys":[', '"publicKey":', ES256, '"recoveryCodes":[', '"confirmedAt":null', '"2026-13-45T25:61:61Z"', '"0000-00-00T00:00:00Z"',
  '"2026-01-02T03:04:05+99:99"', '"createdAt":', '"userHandle":"AA"', '"locale":"pt-BR"', '"digits":9', '"t0Seconds":-2147483647',
  '"periodSeconds":2147483647', '"lastStep":2147483647', '{', '}', '[', ']', ',', ':', '"', '\\u0000', '\\ud800', '\\', 'null', 'true',
  '1e400',
  '-0', '"__proto__":{', '"constructor":', '\n', '\r', '\ufeff', ' '
]

/** Lines of the moving format, in plain text and sealed, in chunks of any length. */
export const target: Target = {
  files: [
    'src/imports/jsonl/lines.js', 'src/imports/jsonl/record.js', 'src/imports/jsonl/sealed.js', 'src/imports/jsonl/source.js',
    'src/factors/moving/record.js', 'src/factors/moving/secrets.js', 'src/factors/passkeys/cose.js', 'src/factors/passkeys/public-key.js'
  ],
  words,
  arbitrary: fc.record({
    lines: fc.array(fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(HEADER, person, '') },
      { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(...words), maxLength: 8 }) },
      { weight: 3, arbitrary: people.map((one) => JSON.stringify(one)) }
    ), { maxLength: 4 }),
    cut: fc.integer({ min: 1, max: 60 }),
    change: fc.constantFrom('none', 'drop', 'swap', 'flip', 'cut'),
    at: fc.nat({ max: 6 })
  }),
  async check (input) {
    const text = textsOf(input, 'lines').join('\n')
    await checkPlain(Buffer.from(text), numberOf(input, 'cut') || 1)
    const lines = textsOf(input, 'lines').map((line) => line.replaceAll(/[\r\n]/g, ' '))
    await checkSealed(lines.filter((line) => line.trim() !== ''), input)
  }
}

async function * chunked (bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function checkPlain (bytes: Buffer, cut: number): Promise<void> {
  const size = Math.max(cut, Math.ceil(bytes.length / 500))
  const lines: string[] = []
  for await (const line of linesOf(chunked(bytes, size))) lines.push(line.bytes!.toString('latin1'))
  const expected = bytes.toString('latin1').split('\n').map((line) => line.replace(/\r$/, ''))
  if (bytes.length === 0 || bytes.at(-1) === 10) expected.pop()
  rule(lines.join('\n') === expected.join('\n'), 'the lines depend on the chunks')
  try {
    const source = await openJsonl('-', null, chunked(bytes, size))
    for await (const { entries } of source.pages(null)) entries.forEach(checkEntry)
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    rule(!error.message.includes(SECRET), 'an error quotes a secret')
  }
}

function checkEntry (entry: Entry): void {
  if ('note' in entry) {
    rule(!entry.note.reason.includes(SECRET), 'a note quotes a secret')
    return
  }
  const { person: { facts: _, ...found } } = entry
  rule(!found.notes.some(({ reason }) => reason.includes(SECRET)), 'a note about a factor quotes a secret')
  checkStorable(found)
}

/** PostgreSQL stores no NUL and no half of a pair, and JSON no date that is none. */
function checkStorable (value: unknown): void {
  if (typeof value === 'string') rule(!/[\0\p{Surrogate}]/u.test(value), 'a text of a record cannot be stored')
  else if (typeof value === 'number') rule(Number.isFinite(value), 'a number of a record is none')
  else if (value instanceof Date) rule(!Number.isNaN(value.getTime()), 'a date of a record is none')
  else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) Object.values(value).forEach(checkStorable)
}

/** A sealed file is opened as it was, and after any change not at all. */
async function checkSealed (lines: readonly string[], input: Input): Promise<void> {
  const sealer = createLineSealer(KEY)
  const sealed = [sealer.header, ...lines.map((line) => sealer.line(line)), sealer.end()]
  const changed = changedLines(sealed, textOf(input, 'change'), numberOf(input, 'at'))
  const isSame = changed.join('\n') === sealed.join('\n')
  const opened: string[] = []
  let isOpened = true
  try {
    const chunks = chunked(Buffer.from(changed.join('\n')), 4096)
    for await (const { bytes } of openLines(linesOf(chunks), KEY)) opened.push(bytes!.toString())
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    isOpened = false
  }
  rule(isOpened === isSame, isSame ? 'a sealed file is not opened' : 'a sealed file that was changed is opened')
  rule(!isOpened || opened.slice(1).join('\n') === Buffer.from(lines.join('\n')).toString(), 'a sealed file is opened as another one')
}

function changedLines (lines: string[], change: string, number: number): string[] {
  const at = number % lines.length
  const line = lines[at]!
  switch (change) {
    case 'drop': return lines.toSpliced(at, 1)
    case 'swap': return lines.toSpliced(at, 1).toSpliced((at + 1) % lines.length, 0, line)
    case 'flip': return lines.with(at, (line[0] === 'A' ? 'B' : 'A') + line.slice(1))
    case 'cut': return lines.with(at, line.slice(0, -4))
    default: return lines
  }
}
