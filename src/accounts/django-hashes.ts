import { createHash } from 'node:crypto'
import {
  argon2Reading, bcryptReading, fromBase64, MALFORMED, pbkdf2Reading, scryptReading, UNKNOWN, whole, type Pbkdf2, type Reading
} from './hash-readers.js'

/** Length in bytes of the digest that Django compares. */
const SCRYPT_BYTES = 64

/** Readers by Django's name of the algorithm. Each one reads the rest of the hash after `algorithm$`. */
const algorithms: Readonly<Record<string, (rest: string) => Reading>> = {
  pbkdf2_sha256: (rest) => readPbkdf2('sha256', 32, rest),
  pbkdf2_sha1: (rest) => readPbkdf2('sha1', 20, rest),
  scrypt: readScrypt,
  argon2: (rest) => argon2Reading(`$${rest}`),
  // bcrypt reads only 72 bytes, so Django gives it the SHA-256 in hexadecimal.
  bcrypt_sha256: (hash) => bcryptReading(hash, (password) => createHash('sha256').update(password).digest('hex'))
}

const DJANGO = /^([a-z0-9_]+)\$(.+)$/s

/** Reads a hash that has the form of Django. The libraries throw for some malformed hashes. */
export function readDjango (encoded: string): Reading {
  const [, algorithm = '', rest = ''] = DJANGO.exec(encoded) ?? []
  return Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm]!(rest) : UNKNOWN
}

/** `iterations$salt$base64` */
function readPbkdf2 (digest: Pbkdf2['digest'], bytes: number, rest: string): Reading {
  const [iterations = '', salt = '', encoded = '', ...more] = rest.split('$')
  const expected = fromBase64(encoded)
  if (expected?.length !== bytes || more.length > 0) return MALFORMED
  return pbkdf2Reading({ digest, iterations: whole(iterations), salt, expected })
}

/** `N$salt$r$p$base64` */
function readScrypt (rest: string): Reading {
  const [N = '', salt = '', r = '', p = '', encoded = '', ...more] = rest.split('$')
  const expected = fromBase64(encoded)
  if (expected?.length !== SCRYPT_BYTES || more.length > 0) return MALFORMED
  return scryptReading({ N: whole(N), r: whole(r), p: whole(p), salt, expected })
}
