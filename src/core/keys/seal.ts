import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** One key of a ring. `kid` identifies it in the values that it sealed or signed. */
export interface Key {
  /** Name of the key. */
  kid: string
  /** 32 random bytes or more. */
  bytes: Buffer
}

/** Row that a sealed value belongs to. It is authenticated: a value moved to another row or user does not open. */
export interface SealedPlace {
  /** Name of the table. */
  table: string
  /** Id of the row. */
  row: string
  /** Owner of the row. */
  userId: string
}

/** Result of opening a sealed value. */
export interface Opened {
  /** The value. */
  plain: Buffer
  /** True if an older key of the ring sealed it: seal it again at the next write, so that the old key can be removed. */
  stale: boolean
}

/** Seals and opens values of the database. */
export interface Seal {
  /** Returns the value sealed under the first key of the ring, for one place. */
  seal (plain: Uint8Array, place: SealedPlace): string
  /**
   * Returns a sealed value in plain.
   *
   * @throws if the value was sealed for another place, altered, or sealed under a key that the ring does not hold
   */
  open (sealed: string, place: SealedPlace): Opened
  /** Derives keys for other purposes (a MAC over the Redis cache), one per ring key, the first one current. */
  derive (purpose: string): Buffer[]
}

/** Namespace of the service. */
export const DEFAULT_NAMESPACE = 'countersign'

/** NIST SP 800-38D: 96 random bits, good for 2^32 values under one key. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals by AES-256-GCM under a key ring: the first key seals, every key opens (ASVS 11.3).
 * A sealed value reads `kid.base64url(nonce ‖ ciphertext ‖ tag)`.
 *
 * @param namespace part of the authenticated data: two applications with one key do not open each other's values
 */
export function createSeal (keys: readonly Key[], namespace: string): Seal {
  const derived = (bytes: Buffer, purpose: string) => Buffer.from(hkdfSync('sha256', bytes, '', `countersign ${purpose}`, 32))
  const ring = new Map(keys.map(({ kid, bytes }) => [kid, derived(bytes, 'seal')]))
  const current = keys[0]
  if (current === undefined) throw new Error('A seal needs at least one key')
  const associated = ({ table, row, userId }: SealedPlace) => Buffer.from(JSON.stringify([namespace, table, row, userId]))

  return {
    seal (plain, place) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', ring.get(current.kid)!, nonce).setAAD(associated(place))
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
      return `${current.kid}.${sealed.toString('base64url')}`
    },

    open (sealed, place) {
      const [kid = '', body = ''] = sealed.split('.')
      const key = ring.get(kid)
      if (key === undefined) throw new Error(`Sealed under the key "${kid}", which is not in the ring`)
      const bytes = Buffer.from(body, 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(associated(place))
        .setAuthTag(bytes.subarray(-TAG_BYTES))
      const plain = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      return { plain, stale: kid !== current.kid }
    },

    derive: (purpose) => keys.map(({ bytes }) => derived(bytes, `${namespace} ${purpose}`))
  }
}
