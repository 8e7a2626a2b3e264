import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Http } from './http.js'

/** A new key is published at least 30 s before it signs: a service that reads as often as this knows it by then. */
const READ_MS = 15_000
/** Tokens with unknown keys cause one reading in this time, whoever sends how many. */
const UNKNOWN_MS = 5_000
const ANSWER_MS = 3_000

export interface Keys {
  /** Null until the keys were read once. */
  count (): number | null
  get (kid: string): KeyObject | undefined
  /** Reads the keys, unless that was done a moment ago. Never rejects: the keys that are known stay. */
  refresh (): Promise<void>
  /** Reads them now. @throws if that fails */
  read (): Promise<void>
  close (): void
}

/** Public keys of the service (RFC 7517). @param onRemoved called when a key is not valid any more */
export function createKeys (http: Http, onRemoved: () => void): Keys {
  let keys: ReadonlyMap<string, KeyObject> | null = null
  /** The published texts, by which a changed key is seen. */
  let texts = new Map<string, string>()
  let triedAtMs = -Infinity
  let reading: Promise<void> | undefined

  async function readOnce (): Promise<void> {
    triedAtMs = performance.now()
    const { status, text } = await http.get('/.well-known/jwks.json', { headers: {}, timeoutMs: ANSWER_MS })
    if (status !== 200) throw new Error(`/.well-known/jwks.json was answered ${status}`)
    const published = (JSON.parse(text) as { keys: Array<JsonWebKey & { kid?: string }> }).keys.filter(isOurs)
    const found = new Map(published.map((jwk) => [jwk.kid!, createPublicKey({ key: jwk, format: 'jwk' })]))
    const next = new Map(published.map(({ kid, x }) => [kid!, String(x)]))
    const isRemoved = [...texts].some(([kid, x]) => next.get(kid) !== x)
    keys = found
    texts = next
    if (isRemoved) onRemoved()
  }

  function read (): Promise<void> {
    reading ??= readOnce().finally(() => { reading = undefined })
    return reading
  }

  const refresh = () => read().catch(() => {})
  const timer = setInterval(() => { void refresh() }, READ_MS).unref()

  return {
    count: () => keys?.size ?? null,
    get: (kid) => keys?.get(kid),
    async refresh () {
      if (reading !== undefined || performance.now() - triedAtMs > UNKNOWN_MS) await refresh()
    },
    read,
    close: () => { clearInterval(timer) }
  }
}

/** Keys of another kind are for a client of another release. */
function isOurs ({ kty, crv, alg, kid, x }: JsonWebKey & { kid?: string }): boolean {
  return kty === 'OKP' && crv === 'Ed25519' && alg === 'EdDSA' && typeof kid === 'string' && typeof x === 'string'
}
