import { createHmac, scrypt } from 'node:crypto'
import { promisify } from 'node:util'

/*
 * Stored form of the digest of a weak code: `$scrypt$ln=14,r=8,p=1$salt$hash`. The hash is made of the fast digest, so that rows
 * with a fast digest, which an import writes at its own speed, are converted later without the code (ASVS 6.5.2).
 */

/** OWASP's parameters of 16 MiB. */
const LOG_N = 14
const [BLOCK, LANES] = [8, 1]
const PREFIX = `$scrypt$ln=${LOG_N},r=${BLOCK},p=${LANES}$`
const SALT_BYTES = 16
const HASH_BYTES = 32

const SLOW = /^\$scrypt\$ln=14,r=8,p=1\$([A-Za-z0-9_-]{22})\$[A-Za-z0-9_-]{43}$/

const scryptAsync = promisify<string, Buffer, number, object, Buffer>(scrypt)

/**
 * Returns the salt of a user's codes. It follows from the user, and not from chance: two replicas that hash at once choose the same one.
 *
 * @param key of this deployment alone, so that no other one has the salt
 */
export const saltFor = (key: Buffer, userId: string): string =>
  createHmac('sha256', key).update(userId).digest().toString('base64url', 0, SALT_BYTES)

/** Returns the salt of a slow digest; null if the digest is a fast one. */
export function saltOf (digest: string): string | null {
  return SLOW.exec(digest)?.[1] ?? null
}

/** Takes some 40 ms of one core and 16 MiB. */
export async function slowDigest (fast: string, salt: string): Promise<string> {
  const hash = await scryptAsync(fast, Buffer.from(salt, 'base64url'), HASH_BYTES, { N: 2 ** LOG_N, r: BLOCK, p: LANES })
  return `${PREFIX}${salt}$${hash.toString('base64url')}`
}
