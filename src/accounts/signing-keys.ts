import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import type { Expression } from 'kysely'
import type { Key } from '../core/keys/seal.js'
import { Refusal } from '../core/refusals.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, milliseconds, numberAs, typed, unnested } from '../tables/values.js'
import { repeat } from '../timing/repeat.js'

/**
 * Seconds from the start of the first process that publishes a key to its first signature: 30 s for services that verify tokens by
 * themselves to read it, and 10 s for that start.
 */
export const HELD_SECONDS = 40
/** Time between two attempts while PostgreSQL does not answer. */
const RETRY_MS = 250

const publish = statement('publish_signing_keys', (db, p: Parameters<{ fingerprints: string[] }>) => db.insertInto('signing_key')
  .columns(['fingerprint', 'published_at'])
  .expression((eb) => eb.selectFrom(unnested('k', { fingerprint: ['text', p.fingerprints] })).select(['k.fingerprint', clock.as('at')]))
  .onConflict((oc) => oc.column('fingerprint').doNothing()))

const selectPublished = statement('published_signing_keys', (db, p: Parameters<{ fingerprints: string[] }>) => db.selectFrom('signing_key')
  .select((eb) => ['fingerprint', numberAs(milliseconds(eb(clock, '-', eb.ref('published_at')) as unknown as Expression<Date>), 'agoMs')])
  .where('fingerprint', '=', (eb) => eb.fn.any(typed(p.fingerprints, 'text[]'))))

/** Which key of the ring signs: the first one, once it was published long enough. */
export interface SigningKeys {
  /**
   * Returns the place in the ring of the key that signs now.
   *
   * @throws {Refusal} UNAVAILABLE while it is not known when the keys were published
   */
  current (): number
  /** Publishes the keys. @param isThere true if PostgreSQL is known to answer: the first attempt is then awaited */
  start (isThere: boolean): Promise<void>
  stop (): void
}

export interface SigningKeysOptions {
  db: Db
  /** Ed25519 keys of the ring. */
  keys: readonly Key[]
  /** This process's monotonic clock. @default performance.now */
  clockMs?: () => number
  isKnownAway: () => boolean
  fatal (facts: object, line: string): void
  /** Called when another key than the first one signs at first. */
  held (kid: string): void
}

/**
 * A new first key signs `HELD_SECONDS` after a process of this deployment first had it in its ring; until then the former one goes on.
 * The times are in PostgreSQL, so that a process that starts again later signs with the new one at once, and the former one can go.
 */
export function createSigningKeys (
  { db, keys, clockMs = () => performance.now(), isKnownAway, fatal, held }: SigningKeysOptions
): SigningKeys {
  const fingerprints = keys.map(fingerprintOf)
  const closing = new AbortController()
  /** When they were published, by the place in the ring and this process's clock: how long ago, PostgreSQL says. */
  let publishedAtMs: number[] | null = keys.length === 1 ? [-Infinity] : null
  let isSettled = false

  async function put (): Promise<boolean> {
    try {
      await publish.changed(db, { fingerprints })
      const askedAtMs = clockMs()
      const found = new Map((await selectPublished.all(db, { fingerprints })).map(({ fingerprint, agoMs }) => [fingerprint, agoMs]))
      if (keys.length > 1) publishedAtMs = fingerprints.map((fingerprint) => askedAtMs - found.get(fingerprint)!)
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
    const signing = keys[current()]!
    if (signing !== keys[0]) held(signing.kid)
    return true
  }

  function current (): number {
    if (isSettled) return 0
    if (publishedAtMs === null) throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 })
    const untilMs = clockMs() - HELD_SECONDS * 1000
    const place = publishedAtMs.findIndex((atMs) => atMs <= untilMs)
    if (place > 0) return place
    isSettled = place === 0
    // Of keys that are all new, the one that was there first, or the first one.
    return isSettled ? 0 : publishedAtMs.indexOf(Math.min(...publishedAtMs))
  }

  return {
    current,
    async start (isThere) {
      if (isThere && await put()) return
      repeat(async () => !isKnownAway() && await put(), { firstMs: RETRY_MS, signal: closing.signal })
        .catch((error: unknown) => { fatal({ err: error }, 'the signing keys could not be published') })
    },
    stop () { closing.abort() }
  }
}

/** Another key under the same name is another key. */
function fingerprintOf ({ kid, bytes }: Key): string {
  const { x } = createPublicKey(createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
  return createHash('sha256').update(`${kid}.${x}`).digest('base64url')
}
