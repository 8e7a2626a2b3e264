import { pbkdf2Sync, scryptSync } from 'node:crypto'
import fc from 'fast-check'
import { asExported, hashFault, keepHash, mustStay, readOwn, verifyForeignHash } from '../../../src/accounts/foreign-hashes.js'
import { numberOf, rule, textOf, type Input, type Target } from '../target.js'

const ARGON2 = '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$P6qsvSjVi3ZRDMbnZ+6jl1WxKTUSwWHrnDnuA1bzvs4'
const BCRYPT = '$2b$04$abcdefghijklmnopqrstuuKOqWjvR6VrlhRIWRuUm4kCGRjc1VbSm'
const FIREBASE = '$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk=c2lnbmVya2V5$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg'
const BETTER_AUTH = `0a0b:${'0123456789abcdef'.repeat(8)}`
const words = [
  ARGON2, BCRYPT, '$argon2i$', '$argon2d$', '$argon2id$', 'v=19$', 'v=16$', 'm=8,t=1,p=1', 'm=131072', 't=8', 'p=16', 'm=4294967295', 'm=0',
  'data=', 'keyid=', '$2a$', '$2y$', '$2x$', '04$', '14$', '31$', 'pbkdf2_sha256$', 'pbkdf2_sha1$', 'scrypt$', 'argon2$', 'bcrypt_sha256$',
  '$scrypt$', 'ln=4', ',r=8', ',p=1', 'ln=30', '$pbkdf2-sha256$', '$pbkdf2-sha1$', '$pbkdf2-sha512$', 'i=1', 'i=2000000', ',l=32',
  '$fbscrypt$',
  'v=1,n=4,r=8,p=1,ss=Bw==,sk=', '$', ',', '=', ':', 'c2FsdHNhbHQ', 'c2FsdA', '0a0b:', '0123456789abcdef'.repeat(8), 'nfkc:', 'foreign:',
  'django:', '!', '1000$salt$', '16384$salt$8$1$', 'é', '\0'
]
const PARTS = ['pbkdf2_sha256', 'pbkdf2-sha1', 'pbkdf2-sha512', 'scrypt'] as const
/** Words at which `verify` is so cheap that each input can run it. Other accepted hashes are run once in so many. */
const EXPENSIVE_ONCE_IN = 300
/** CPU time of the dearest hash that is accepted: some two seconds of one core, and a margin for a machine of another kind. */
const MOST_HASH_MS = 6_000
/** Bytes of the dearest one: argon2 with 128 MiB, and what else the process makes in that time. */
const MOST_HASH_BYTES = 400 * 1024 * 1024
let expensive = 0

/** Password hashes of other systems. The judge of those that are computed here is `node:crypto`. */
export const target: Target = {
  files: ['src/accounts/foreign-hashes.js', 'src/accounts/hash-readers.js', 'src/accounts/django-hashes.js'],
  words,
  mostMs: MOST_HASH_MS,
  arbitrary: fc.oneof(
    fc.record({ hash: fc.constantFrom(ARGON2, `nfkc:${ARGON2}`, BCRYPT, FIREBASE, BETTER_AUTH), password: fc.constant('x') }),
    fc.record({ hash: fc.string({ unit: fc.constantFrom(...words), minLength: 1, maxLength: 8 }), password: fc.string({ maxLength: 4 }) }),
    fc.record({
      form: fc.constantFrom(...PARTS),
      rounds: fc.integer({ min: 1, max: 300 }),
      bytes: fc.integer({ min: 16, max: 128 }),
      salt: fc.string({ unit: fc.constantFrom(...'abcdXYZ09'), minLength: 1, maxLength: 24 }),
      password: fc.string({ unit: 'binary', maxLength: 12 })
    })
  ),
  async check (input) {
    await checkText(textOf(input, 'hash'), textOf(input, 'password'))
    await checkMade(input)
  }
}

async function checkText (hash: string, password: string): Promise<void> {
  const stored = keepHash(hash)
  const before = process.cpuUsage()
  const fault = hashFault(stored)
  const { user, system } = process.cpuUsage(before)
  rule((user + system) / 1000 < 50 || hashFault(stored) === fault, 'to read a hash takes as long as to compute one')
  rule(stored.endsWith(hash) && (asExported(stored) === hash || hash.startsWith('!')), 'an exported hash is another one')
  readOwn(hash)
  mustStay(stored, password)
  if (fault !== null) {
    rule(!await verifyForeignHash(stored, password), 'a password matches a hash that is none')
    return
  }
  if (!isCheap(hash) && expensive++ % EXPENSIVE_ONCE_IN !== 0) return
  const { rss } = process.memoryUsage()
  await verifyForeignHash(stored, password)
  rule(process.memoryUsage().rss - rss < MOST_HASH_BYTES, 'a hash takes more memory than is allowed')
}

/** Judges by the numbers in a hash: each of them is small. */
const isCheap = (hash: string): boolean => (hash.match(/\d+/g) ?? []).every((digits) => Number(digits) < 1000) &&
  !/\$2.\$(0[6-9]|[1-9])|ln=(1[2-9]|[2-9]\d)|,n=(1[2-9]|[2-9]\d)/.test(hash)

async function checkMade (input: Input): Promise<void> {
  const [form, salt, password] = [textOf(input, 'form'), textOf(input, 'salt'), textOf(input, 'password')]
  const rounds = Math.min(numberOf(input, 'rounds'), 2000)
  const bytes = Math.min(Math.max(numberOf(input, 'bytes'), 16), 128)
  if (rounds === 0 || !/^[A-Za-z0-9]+$/.test(salt) || !PARTS.some((one) => one === form)) return
  const hash = madeBy(form, { rounds, bytes, salt, password })
  rule(hashFault(keepHash(hash)) === null, 'a hash that node:crypto made is not read')
  rule(await verifyForeignHash(keepHash(hash), password), 'the right password does not match a hash that node:crypto made')
  rule(!await verifyForeignHash(keepHash(hash), `${password}x`), 'a wrong password matches a hash that node:crypto made')
}

interface Made { rounds: number, bytes: number, salt: string, password: string }

function madeBy (form: string, { rounds, bytes, salt, password }: Made): string {
  const text = (value: Buffer) => value.toString('base64')
  if (form === 'pbkdf2_sha256') return `${form}$${rounds}$${salt}$${text(pbkdf2Sync(password, salt, rounds, 32, 'sha256'))}`
  const plain = (value: Buffer) => text(value).replace(/=+$/, '')
  if (form === 'scrypt') {
    const options = { N: 2 ** (1 + rounds % 6), r: 1 + rounds % 3, p: 1 + rounds % 4 }
    const key = scryptSync(password, salt, bytes, options)
    return `$scrypt$ln=${Math.log2(options.N)},r=${options.r},p=${options.p}$${plain(Buffer.from(salt))}$${plain(key)}`
  }
  const digest = form.slice('pbkdf2-'.length)
  return `$${form}$i=${rounds}$${plain(Buffer.from(salt))}$${plain(pbkdf2Sync(password, salt, rounds, bytes, digest))}`
}
