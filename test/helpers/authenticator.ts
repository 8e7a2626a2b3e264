import { createHmac } from 'node:crypto'

export const PERIOD_SECONDS = 30
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export const stepAt = (time: Date): number => Math.floor(time.getTime() / 1000 / PERIOD_SECONDS)

/** RFC 4226 §5.3 and RFC 6238 §1.2 by `node:crypto`, written for the tests, independent of the product's code and of otplib. */
export function hotp (secret: Uint8Array, counter: number, digits: number, hash = 'sha1'): string {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const mac = createHmac(hash, secret).update(message).digest()
  const number = mac.readUInt32BE(mac.readUInt8(mac.length - 1) & 15) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** Code of a new device: SHA-1 and six digits. */
export const totp = (secret: Buffer, step: number): string => hotp(secret, step, 6)

/** Reads the secret from the QR code's address, like an authenticator app. */
export function secretOf (otpUrl: string): Buffer {
  const text = new URL(otpUrl).searchParams.get('secret') ?? ''
  const bits = Array.from(text, (symbol) => BASE32.indexOf(symbol).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}
