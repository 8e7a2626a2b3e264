import { createCipheriv } from 'node:crypto'
import { normalisePassword } from '../core/passwords/passwords.js'
import { readDjango } from './django-hashes.js'
import {
  argon2Reading, bcryptReading, MALFORMED, pbkdf2Reading, scryptReading, UNKNOWN, whole, type Reading
} from './hash-readers.js'

/*
 * Password hashes of other systems in `account.password_hash`: a prefix, and the hash as it was there. Each one is replaced by ours at
 * the next log-in.
 */

/** Prefix of a Django hash. */
const DJANGO = 'django:'
/** Prefix of a hash in any other form. */
const FOREIGN = 'foreign:'
/** Mark of an account without a password. No password matches it. */
export const NO_PASSWORD = '!'
/** bcrypt reads no more bytes of a password. */
const BCRYPT_BYTES = 72
/**
 * Prefix of our hash of a password in NFKC. better-auth accepts every spelling with the same NFKC, such as full-width letters, and its
 * users go on to type any of them; NFC, the form of all other hashes, keeps them apart.
 */
const NFKC = 'nfkc:'
const BETTER_AUTH = /^foreign:[0-9a-f]+:[0-9a-f]+$/

/** Readers of the forms that are no form of Django, by their beginning. */
const forms: ReadonlyArray<[begin: RegExp, read: (hash: string) => Reading]> = [
  [/^\$argon2(i|d|id)\$/, argon2Reading],
  [/^\$2[abxy]\$/, (hash) => bcryptReading(hash)],
  [/^\$scrypt\$/, readScrypt],
  [/^\$pbkdf2[-$]/, readPbkdf2],
  [/^\$fbscrypt\$/, readFirebaseScrypt],
  [/^[0-9a-f]+:[0-9a-f]+$/, readBetterAuth],
  [/^nfkc:\$argon2id\$/, (hash) => ofNfkc(argon2Reading(hash.slice(NFKC.length)))]
]

/** Returns the stored form of a Django hash. */
export const keepDjangoHash = (encoded: string): string => DJANGO + encoded

/** Returns the stored form of a hash in one of the forms of the documentation (docs/moving.md). */
export function keepHash (hash: string): string {
  return forms.some(([begin]) => begin.test(hash)) ? FOREIGN + hash : DJANGO + hash
}

/** Returns a stored hash as it was in the other system, or ours; null for no password. */
export function asExported (stored: string): string | null {
  if (isUnusable(stored)) return null
  return stored.replace(/^(django|foreign):/, '')
}

export function isForeign (stored: string): boolean {
  return stored.startsWith(DJANGO) || stored.startsWith(FOREIGN)
}

/** Recognises an account without a password: Django stores a mark and 40 random letters. */
export function isUnusable (stored: string): boolean {
  return stored.startsWith(NO_PASSWORD)
}

/** Returns the reason why a stored hash cannot be used, to follow "the password stays behind: "; null if it can. */
export function hashFault (stored: string): string | null {
  const reading = read(stored)
  return 'fault' in reading ? reading.fault : null
}

/**
 * Checks a password against a hash of another system. Parameters above the limits count as a wrong password.
 *
 * @param password as typed: only better-auth hashes a normal form
 */
export async function verifyForeignHash (stored: string, password: string): Promise<boolean> {
  const reading = read(stored)
  if ('fault' in reading) return false
  if (await reading.verify(password)) return true
  // Our own hashes of an export are of the normal form.
  const normal = password.normalize('NFC')
  return stored.startsWith(`${FOREIGN}$argon2id$`) && normal !== password && await reading.verify(normal)
}

/** Splits a hash of ours from its mark, and returns the form of a password that it is of; null for no such hash. */
export function readOwn (stored: string): { hash: string, normalise: (password: string) => string } | null {
  if (stored.startsWith(NFKC)) return { hash: stored.slice(NFKC.length), normalise: (password) => password.normalize('NFKC') }
  return stored.startsWith('$argon2') ? { hash: stored, normalise: normalisePassword } : null
}

/**
 * Makes the hash that replaces a stored one, of a password that matched it. All spellings that matched go on to match.
 *
 * @param hash hashes a text with the parameters of today
 */
export async function replacement (stored: string, password: string, hash: (text: string) => Promise<string>): Promise<string> {
  const isNfkc = stored.startsWith(NFKC) || BETTER_AUTH.test(stored) || stored.startsWith(FOREIGN + NFKC)
  return isNfkc ? NFKC + await hash(password.normalize('NFKC')) : await hash(normalisePassword(password))
}

/**
 * True if the hash must stay: bcrypt read no more than the beginning of a password of this length, and accepts any text that begins
 * like it. A new hash of the whole text would lock out the owner, whose password may have another end, or end later.
 */
export function mustStay (stored: string, password: string): boolean {
  return /^foreign:\$2[abxy]\$/.test(stored) && Buffer.byteLength(password) >= BCRYPT_BYTES
}

function read (stored: string): Reading {
  try {
    if (stored.startsWith(DJANGO)) return readDjango(stored.slice(DJANGO.length))
    const hash = stored.slice(FOREIGN.length)
    const [, reader = () => UNKNOWN] = forms.find(([begin]) => begin.test(hash)) ?? []
    return reader(hash)
  } catch {
    return MALFORMED   // the libraries' messages quote the hash
  }
}

/** Reads base64 of either alphabet, or passlib's with a full stop, with or without padding; null for any other text. */
function fromAnyBase64 (text: string): Buffer | null {
  const plain = text.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/').replaceAll('.', '+')
  const bytes = Buffer.from(plain, 'base64')
  return /^[A-Za-z0-9+/]+$/.test(plain) && bytes.length === Math.floor(plain.length * 3 / 4) ? bytes : null
}

/** Parts of a hash. `list` is the text of `values`. */
interface PhcParts { name: string, list: string, values: Map<string, string>, salt: Buffer | null, expected: Buffer | null }

/** Splits `$name$key=value,…$salt$hash`. */
function phcParts (hash: string): PhcParts | null {
  const [, name, list, salt, expected] = /^\$([a-z0-9-]+)\$([^$]+)\$([^$]+)\$([^$]+)$/.exec(hash) ?? []
  if (name === undefined || list === undefined || salt === undefined || expected === undefined) return null
  const values = new Map(list.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const))
  return { name, list, values, salt: fromAnyBase64(salt), expected: fromAnyBase64(expected) }
}

function readScrypt (hash: string): Reading {
  const { values, salt, expected } = phcParts(hash) ?? { values: new Map<string, string>(), salt: null, expected: null }
  const logN = whole(values.get('ln') ?? '')
  if (salt === null || expected === null || logN === null || logN > 30) return MALFORMED
  return scryptReading({ N: 2 ** logN, r: whole(values.get('r') ?? ''), p: whole(values.get('p') ?? ''), salt, expected })
}

/** Reads the form with `i=`, and passlib's: the iterations stand alone, and SHA-1 has no name. */
function readPbkdf2 (hash: string): Reading {
  const parts = phcParts(hash)
  if (parts === null || parts.salt === null || parts.expected === null) return MALFORMED
  const digest = parts.name === 'pbkdf2' ? 'sha1' : parts.name.slice('pbkdf2-'.length)
  if (digest !== 'sha1' && digest !== 'sha256' && digest !== 'sha512') return UNKNOWN
  const length = parts.values.get('l')
  if (length !== undefined && Number(length) !== parts.expected.length) return MALFORMED
  return pbkdf2Reading({ digest, iterations: whole(parts.values.get('i') ?? parts.list), salt: parts.salt, expected: parts.expected })
}

/** `$fbscrypt$v=1,n=,r=,p=,ss=,sk=$salt$hash`: the signer key, encrypted by AES-256-CTR under the derived key. */
function readFirebaseScrypt (hash: string): Reading {
  const parts = phcParts(hash)
  const logN = whole(parts?.values.get('n') ?? '')
  const separator = fromAnyBase64(parts?.values.get('ss') ?? '')
  const signerKey = fromAnyBase64(parts?.values.get('sk') ?? '')
  if (parts === null || parts.salt === null || parts.expected === null || logN === null || logN > 30) return MALFORMED
  if (separator === null || signerKey === null || parts.values.get('v') !== '1') return MALFORMED
  const { salt, expected, values } = parts
  return scryptReading({
    N: 2 ** logN, r: whole(values.get('r') ?? ''), p: whole(values.get('p') ?? ''), salt: Buffer.concat([salt, separator]), expected
  }, 32, (key) => {
    const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
    const encrypted = Buffer.concat([cipher.update(signerKey), cipher.final()])
    // A hash of another length is wrong, and of this length it is compared in constant time.
    return encrypted.length === expected.length ? encrypted : Buffer.alloc(expected.length)
  })
}

/** better-auth's `salt:key`: the salt is the hexadecimal text itself, the password its NFKC. */
function readBetterAuth (hash: string): Reading {
  const [salt = '', key = ''] = hash.split(':')
  const expected = Buffer.from(key, 'hex')
  if (expected.length !== 64) return MALFORMED
  return ofNfkc(scryptReading({ N: 16_384, r: 16, p: 1, salt, expected }))
}

function ofNfkc (reading: Reading): Reading {
  return 'fault' in reading ? reading : { verify: (password) => reading.verify(password.normalize('NFKC')) }
}
