import { createHash, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { parseOptions as readArgon2, verify as verifyArgon2 } from '@node-rs/argon2'
import { verify as verifyBcrypt } from '@node-rs/bcrypt'

/** Prefix of a Django hash in `account.password_hash`. */
const PREFIX = 'django:'
/** Mark of an account without a password, from Django. No password matches it. */
export const NO_PASSWORD = '!'

/** Django 6.0 writes 1 200 000, and a fifth more with each release. This limit takes 0.7 s of one core. */
const MOST_ITERATIONS = 2_000_000
/** KiB. Django writes 100 MiB. Each concurrent hash holds this much memory. */
const MOST_ARGON2_KIB = 128 * 1024
const MOST_ARGON2_PASSES = 8
const MOST_ARGON2_LANES = 16
/** log2 of the rounds. Django writes 12; 14 takes a second. */
const MOST_BCRYPT_COST = 14
/** Variant, cost (4 to 31, the range of bcrypt), then 22 symbols of salt and 31 of digest. */
const BCRYPT = /^\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$/
/** Bytes: 128·r·(N + p) and a little more. Django writes 16 MiB. */
const MOST_SCRYPT_BYTES = 64 * 1024 * 1024
const MOST_SCRYPT_LANES = 16
/** Length in bytes of the digest that Django compares. */
const SCRYPT_BYTES = 64

const pbkdf2Async = promisify(pbkdf2)
const scryptAsync = promisify<string, string, number, object, Buffer>(scrypt)

/** Hashes a password with checked parameters and compares the result with the stored one. */
type Verifier = (password: string) => Promise<boolean>
type Reading = { verify: Verifier } | { fault: string }

const TOO_COSTLY = { fault: 'its hash costs more than is allowed here' }
const MALFORMED = { fault: 'its hash cannot be read' }

/** Readers by Django's name of the algorithm. Each one reads the rest of the hash after `algorithm$`. */
const algorithms: Readonly<Record<string, (rest: string) => Reading>> = {
  pbkdf2_sha256: (rest) => readPbkdf2('sha256', 32, rest),
  pbkdf2_sha1: (rest) => readPbkdf2('sha1', 20, rest),
  scrypt: readScrypt,
  argon2 (rest) {
    const hash = `$${rest}`
    const { memoryCost, timeCost, parallelism } = readArgon2(hash)
    if (memoryCost > MOST_ARGON2_KIB || timeCost > MOST_ARGON2_PASSES || parallelism > MOST_ARGON2_LANES) return TOO_COSTLY
    return { verify: (password) => verifyArgon2(hash, password) }
  },
  // bcrypt reads only 72 bytes, so Django gives it the SHA-256 in hexadecimal.
  bcrypt_sha256 (hash) {
    const [, cost] = BCRYPT.exec(hash) ?? []
    if (cost === undefined) return MALFORMED
    if (Number(cost) > MOST_BCRYPT_COST) return TOO_COSTLY
    return { verify: (password) => verifyBcrypt(createHash('sha256').update(password).digest('hex'), hash) }
  }
}

/** Returns the stored form of a Django hash. */
export function keepDjangoHash (encoded: string): string {
  return PREFIX + encoded
}

export function isDjangoHash (stored: string): boolean {
  return stored.startsWith(PREFIX)
}

/** Recognises an account without a password: Django stores a mark and 40 random letters. */
export function isUnusable (encoded: string): boolean {
  return encoded.startsWith('!')
}

/** Returns the reason why a Django hash cannot be imported, to follow "the password stays behind: "; null if it can. */
export function djangoHashFault (encoded: string): string | null {
  const reading = read(encoded)
  return 'fault' in reading ? reading.fault : null
}

/**
 * Checks a password against a Django hash. Parameters above the limits count as a wrong password, so that no row can keep a
 * core busy.
 *
 * @param stored result of `keepDjangoHash`
 * @param password as typed: Django hashes it without a normal form
 */
export async function verifyDjangoHash (stored: string, password: string): Promise<boolean> {
  const reading = read(stored.slice(PREFIX.length))
  return 'verify' in reading && await reading.verify(password)
}

function read (encoded: string): Reading {
  const [, algorithm = '', rest = ''] = /^([a-z0-9_]+)\$(.+)$/s.exec(encoded) ?? []
  if (!Object.hasOwn(algorithms, algorithm)) return { fault: 'its hash is of an algorithm that is not known here' }
  try {
    return algorithms[algorithm]!(rest)
  } catch {
    return MALFORMED   // the libraries' messages quote the hash
  }
}

/** `iterations$salt$base64` */
function readPbkdf2 (digest: 'sha256' | 'sha1', bytes: number, rest: string): Reading {
  const [iterationText = '', salt = '', encoded = '', ...more] = rest.split('$')
  const iterations = whole(iterationText)
  const expected = fromBase64(encoded)
  if (iterations === null || salt === '' || expected?.length !== bytes || more.length > 0) return MALFORMED
  if (iterations > MOST_ITERATIONS) return TOO_COSTLY
  return { verify: async (password) => timingSafeEqual(await pbkdf2Async(password, salt, iterations, bytes, digest), expected) }
}

/** `N$salt$r$p$base64` */
function readScrypt (rest: string): Reading {
  const [workText = '', salt = '', blockText = '', laneText = '', encoded = '', ...more] = rest.split('$')
  const [N, r, p] = [whole(workText), whole(blockText), whole(laneText)]
  const expected = fromBase64(encoded)
  if (N === null || r === null || p === null || salt === '' || expected?.length !== SCRYPT_BYTES || more.length > 0) return MALFORMED
  // RFC 7914 §2: N is a power of two and less than 2^(128·r/8). OpenSSL throws for other values, and for too much memory.
  if (N < 2 || !Number.isInteger(Math.log2(N)) || Math.log2(N) >= 16 * r) return MALFORMED
  if (128 * r * (N + p + 2) > MOST_SCRYPT_BYTES || p > MOST_SCRYPT_LANES) return TOO_COSTLY
  const options = { N, r, p, maxmem: 2 * MOST_SCRYPT_BYTES }
  return { verify: async (password) => timingSafeEqual(await scryptAsync(password, salt, SCRYPT_BYTES, options), expected) }
}

/** Reads a positive whole number in its canonical spelling; null for any other text. */
function whole (text: string): number | null {
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
}

function fromBase64 (text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
