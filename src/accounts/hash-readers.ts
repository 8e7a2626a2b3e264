import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { parseOptions, verify as verifyArgon2 } from '@node-rs/argon2'
import { verify as verifyBcrypt } from '@node-rs/bcrypt'

/*
 * Readers of the parts that password hashes of other systems have in common. Parameters are bounded, so that no row can keep a core
 * busy; a hash above the bounds is no hash.
 */

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
/** Bytes: 128·r·(N + p) and a little more. Django writes 16 MiB, better-auth 32. */
const MOST_SCRYPT_BYTES = 64 * 1024 * 1024
const MOST_SCRYPT_LANES = 16
/** Bytes that all lanes fill: 128·r·N·p. This limit takes 0.6 s of one core; Django writes 80 MiB. */
const MOST_SCRYPT_WORK_BYTES = 256 * 1024 * 1024

const pbkdf2Async = promisify(pbkdf2)
const scryptAsync = promisify<string, string | Buffer, number, object, Buffer>(scrypt)

/** Hashes a password with checked parameters and compares the result with the stored one. */
export type Verifier = (password: string) => Promise<boolean>
export type Reading = { verify: Verifier } | { fault: string }

export const TOO_COSTLY = { fault: 'its hash costs more than is allowed here' }
export const MALFORMED = { fault: 'its hash cannot be read' }
export const UNKNOWN = { fault: 'its hash is of an algorithm that is not known here' }

/** @param hash in PHC form */
export function argon2Reading (hash: string): Reading {
  const { memoryCost, timeCost, parallelism } = parseOptions(hash)
  if (memoryCost > MOST_ARGON2_KIB || timeCost > MOST_ARGON2_PASSES || parallelism > MOST_ARGON2_LANES) return TOO_COSTLY
  return { verify: (password) => verifyArgon2(hash, password) }
}

/** @param prepared returns the text that bcrypt gets for a password */
export function bcryptReading (hash: string, prepared: (password: string) => string = (password) => password): Reading {
  const [, cost] = BCRYPT.exec(hash) ?? []
  if (cost === undefined) return MALFORMED
  if (Number(cost) > MOST_BCRYPT_COST) return TOO_COSTLY
  return { verify: (password) => verifyBcrypt(prepared(password), hash) }
}

/** Bytes of the digests, which are the blocks of PBKDF2. */
const BLOCK_BYTES = { sha1: 20, sha256: 32, sha512: 64 } as const

export interface Pbkdf2 { digest: 'sha1' | 'sha256' | 'sha512', iterations: number | null, salt: string | Buffer, expected: Buffer }

export function pbkdf2Reading ({ digest, iterations, salt, expected }: Pbkdf2): Reading {
  if (iterations === null || salt.length === 0 || expected.length < 16 || expected.length > 128) return MALFORMED
  if (iterations > MOST_ITERATIONS) return TOO_COSTLY
  // Each block costs all iterations, and one is enough: a guesser compares no more. 128 bytes by SHA-1 are seven.
  const block = expected.subarray(0, BLOCK_BYTES[digest])
  return { verify: async (password) => timingSafeEqual(await pbkdf2Async(password, salt, iterations, block.length, digest), block) }
}

export interface Scrypt { N: number | null, r: number | null, p: number | null, salt: string | Buffer, expected: Buffer }

/** @param derived returns the stored value of a derived key */
export function scryptReading (
  { N, r, p, salt, expected }: Scrypt, bytes = expected.length, derived: (key: Buffer) => Buffer = (key) => key
): Reading {
  if (N === null || r === null || p === null || salt.length === 0 || expected.length < 16 || expected.length > 128) return MALFORMED
  // RFC 7914 §2: N is a power of two and less than 2^(128·r/8). OpenSSL throws for other values, and for too much memory.
  if (N < 2 || !Number.isInteger(Math.log2(N)) || Math.log2(N) >= 16 * r) return MALFORMED
  if (128 * r * (N + p + 2) > MOST_SCRYPT_BYTES || p > MOST_SCRYPT_LANES || 128 * r * N * p > MOST_SCRYPT_WORK_BYTES) return TOO_COSTLY
  const options = { N, r, p, maxmem: 2 * MOST_SCRYPT_BYTES }
  return { verify: async (password) => timingSafeEqual(derived(await scryptAsync(password, salt, bytes, options)), expected) }
}

/** Reads a positive whole number in its canonical spelling; null for any other text. */
export function whole (text: string): number | null {
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
}

/** Reads standard base64 in its canonical spelling; null for any other text. */
export function fromBase64 (text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
