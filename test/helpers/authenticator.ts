import { createHmac } from 'node:crypto'

export const PERIOD_SECONDS = 30
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export const stepAt = (time: Date): number => Math.floor(time.getTime() / 1000 / PERIOD_SECONDS)

/** RFC 6238 with SHA-1 and six digits, written for the tests, independent of the product's code. */
export function totp (secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const bits = mac.readUInt32BE(mac.readUInt8(19) & 15) & 0x7fffffff
  return String(bits % 1_000_000).padStart(6, '0')
}

/** Reads the secret from the QR code's address, like an authenticator app. */
export function secretOf (otpUrl: string): Buffer {
  const text = new URL(otpUrl).searchParams.get('secret') ?? ''
  const bits = Array.from(text, (symbol) => BASE32.indexOf(symbol).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}
