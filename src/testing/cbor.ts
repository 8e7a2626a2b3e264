/** Value of the subset of CBOR (RFC 8949) that authenticators write: integers, bytes, text and maps. */
export type Cbor = number | string | Uint8Array | Map<number | string, Cbor>

/** Encodes a value in the canonical form of CTAP2. The keys of a map must be in that order already. */
export function encodeCbor (value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  return Buffer.concat([head(5, value.size), ...[...value].flat().map(encodeCbor)])
}

function head (major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.of(major << 5 | argument)
  if (argument < 0x100) return Buffer.of(major << 5 | 24, argument)
  return Buffer.of(major << 5 | 25, argument >> 8, argument & 0xff)
}
