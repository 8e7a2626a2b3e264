/*
 * Readers that are written for the judgement of other readers: short, strict, and without a line of theirs.
 */

export type CborValue = number | string | boolean | null | Buffer | CborValue[] | Map<CborValue, CborValue>

/** Reads one item of the part of CBOR that authenticators write (CTAP2 canonical form). @throws for any other bytes */
export function readCbor (bytes: Buffer, at = 0): { value: CborValue, end: number } {
  const [major, short] = [bytes.readUInt8(at) >> 5, bytes.readUInt8(at) & 31]
  if (major === 7) return { value: simple(short), end: at + 1 }
  const extra = short < 24 ? 0 : [1, 2, 4][short - 24]
  if (extra === undefined) throw new RangeError('a length that is too long or not known')
  const argument = extra === 0 ? short : bytes.readUIntBE(at + 1, extra)
  let end = at + 1 + extra
  if (major === 0) return { value: argument, end }
  if (major === 1) return { value: -1 - argument, end }
  if (major === 2 || major === 3) {
    if (end + argument > bytes.length) throw new RangeError('a text that goes on after the end')
    const part = bytes.subarray(end, end + argument)
    return { value: major === 2 ? part : part.toString(), end: end + argument }
  }
  if (major > 5) throw new RangeError('a kind that authenticators do not write')
  const items: CborValue[] = []
  for (let count = major === 5 ? argument * 2 : argument; count > 0; count--) {
    const item = readCbor(bytes, end)
    items.push(item.value)
    end = item.end
  }
  if (major === 4) return { value: items, end }
  return { value: new Map(items.flatMap((item, i) => i % 2 === 0 ? [[item, items[i + 1]!] as const] : [])), end }
}

function simple (short: number): boolean | null {
  if (short === 20 || short === 21) return short === 21
  if (short === 22) return null
  throw new RangeError('a value that authenticators do not write')
}

/** Authenticator data (WebAuthn L3 §6.1), up to its extensions. */
export interface ReadAuthenticatorData {
  rpIdHash: Buffer
  flags: number
  counter: number
  /** Null without attested credential data. */
  credential: { id: Buffer, cose: Map<CborValue, CborValue>, key: Buffer } | null
}

/** @throws if there are too few bytes */
export function readAuthenticatorData (bytes: Buffer): ReadAuthenticatorData {
  const [rpIdHash, flags, counter] = [bytes.subarray(0, 32), bytes.readUInt8(32), bytes.readUInt32BE(33)]
  if ((flags & 0x40) === 0) return { rpIdHash, flags, counter, credential: null }
  const length = bytes.readUInt16BE(53)
  const from = 55 + length
  const { value, end } = readCbor(bytes, from)
  if (!(value instanceof Map)) throw new RangeError('a key that is no map')
  return { rpIdHash, flags, counter, credential: { id: bytes.subarray(55, from), cose: value, key: bytes.subarray(from, end) } }
}
