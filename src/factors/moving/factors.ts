import { randomUUID } from 'node:crypto'
import type { TotpAlgorithm } from '../../core/totp/otplib.js'
import {
  codeDigest, codeKey, codeText, strengthOf, type CodeForm, type CodeKey
} from '../../core/recovery/recovery-codes.js'
import type { Seal } from '../../core/keys/seal.js'
import { MOST_DEVICES } from '../confirm.js'
import { sealOrigin } from '../recovery/candidates.js'
import { saltOf } from '../recovery/slow-digests.js'
import { devicePlace, otherPlace } from '../totp/verification.js'
import type { CodeRow, MovedRows, PasskeyRow, TotpRow } from './statements.js'

/** Authenticator app of another system, by its key. */
export interface MovedTotp {
  /** Name of the row there, for notes. */
  label: string
  key: Uint8Array
  /** Second reading of the stored secret, where the system has two. */
  otherKey?: Uint8Array
  name: string
  algorithm: TotpAlgorithm
  digits: number
  periodSeconds: number
  t0Seconds: number
  /** Last step that was accepted there, -1 if there was none; null if it is not known. */
  lastStep: number | null
  lastUsedAt: Date | null
  confirmedAt: Date | null
}

/** Unused recovery code: the code itself, or a digest of it. */
export type MovedCode =
  | { code: string, form: 'printed' | 'django' }
  | { sha512: string }
  | { digest: string, form: CodeForm, weak: boolean, origin: CodeKey }

export interface MovedPasskey {
  label: string
  name: string
  rpId: string
  credentialId: Buffer
  publicKey: Buffer
  algorithm: number
  signCount: number
  transports: string[]
  aaguid: string
  backupEligible: boolean
  backedUp: boolean
  lastUsedAt: Date | null
  confirmedAt: Date | null
}

export interface MovedFactors {
  totp: MovedTotp[]
  passkeys: MovedPasskey[]
  /** User handle of the passkeys. */
  passkeyHandle: Buffer | null
  codes: MovedCode[]
}

/** Row that was omitted or changed, with the reason. Never has a value of the row. */
export interface FactorNote { kind: 'device' | 'passkey' | 'recoveryCode', reason: string }

export interface FactorRows extends MovedRows { notes: FactorNote[] }

export interface MovingSettings {
  seal: Seal
  digestKey: Buffer
  /** Steps accepted on each side of now. */
  window: number
  /** PostgreSQL's time. */
  nowSeconds: number
}

/** 80 bits, the length of the first authenticator apps. A shorter secret can be found from a few codes. */
const LEAST_SECRET_BYTES = 10
/** RFC 4226 R6: a secret of at least 128 bits. */
const STRONG_SECRET_BYTES = 16
const MOST_SECRET_BYTES = 1024
const LARGEST_INTEGER = 2 ** 31 - 1
/** The year 2106. Until then, no counter may exceed its column. */
const LAST_SECONDS = 2 ** 32
/** The guide from Clerk leaves a text with two readings. Afterwards only the one of the system itself counts. */
const OTHER_READING_DAYS = 90
/** More codes than any system prints: each one costs a comparison. */
const MOST_CODES = 64
const SHA512 = /^[A-Za-z0-9+/]{86}==$/
/** WebAuthn L3 §4: at most 1023 bytes. */
const MOST_CREDENTIAL_BYTES = 1023

/** Decides which of a user's factors can come, and seals them for their rows. Nothing is stored yet. */
export function factorRows (userId: string, factors: MovedFactors, settings: MovingSettings): FactorRows {
  const notes: FactorNote[] = []
  const devices: TotpRow[] = []
  const keys = new Set<string>()
  for (const device of factors.totp) {
    const fault = devices.length === MOST_DEVICES
      ? `one user has at most ${MOST_DEVICES}`
      : totpFault(device) ?? repeatedFault(device, keys)
    if (fault === null) devices.push(totpRow(userId, device, settings))
    else notes.push({ kind: 'device', reason: `${device.label} stays behind: ${fault}` })
  }
  const passkeys: PasskeyRow[] = []
  for (const passkey of factors.passkeys) {
    const fault = passkeys.length === MOST_DEVICES ? `one user has at most ${MOST_DEVICES}` : passkeyFault(passkey)
    if (fault === null) passkeys.push(passkeyRow(userId, passkey, factors.passkeyHandle))
    else notes.push({ kind: 'passkey', reason: `${passkey.label} stays behind: ${fault}` })
  }
  const hasFactor = devices.length + passkeys.length > 0
  // Recovery codes without a factor open nothing.
  return { devices, passkeys, codes: hasFactor ? codeRows(userId, factors.codes, settings, notes) : [], notes }
}

function totpFault ({ key, periodSeconds, t0Seconds, digits, lastStep }: MovedTotp): string | null {
  const last = lastStep ?? -1
  if (key.length < LEAST_SECRET_BYTES) return `its key is shorter than ${LEAST_SECRET_BYTES * 8} bits`
  if (key.length > MOST_SECRET_BYTES) return `its key is longer than ${MOST_SECRET_BYTES} bytes`
  if (!Number.isInteger(digits) || digits < 6 || digits > 8) return `its codes have ${digits} digits, not 6 to 8`
  if (!Number.isInteger(periodSeconds) || periodSeconds < 1 || periodSeconds > LARGEST_INTEGER) return 'its step is no time'
  if (![t0Seconds, last].every(Number.isInteger) || Math.abs(t0Seconds) > LARGEST_INTEGER || last > LARGEST_INTEGER || last < -1) {
    return 'its t0 or last step is out of range'
  }
  if ((LAST_SECONDS - t0Seconds) / periodSeconds > LARGEST_INTEGER) return 'its step is so short that its counter would run out'
  return null
}

/**
 * A code is used once for each device, so two devices of one key would accept it twice. HMAC fills a key up with zeros.
 *
 * @param keys keys of the user's devices before; those of this one are added
 */
function repeatedFault ({ key, otherKey }: MovedTotp, keys: Set<string>): string | null {
  const own = [key, ...(otherKey === undefined ? [] : [otherKey])].map((bytes) => Buffer.from(bytes).toString('hex').replace(/(00)+$/, ''))
  if (own.some((text) => keys.has(text))) return 'it has the key of an earlier one'
  for (const text of own) keys.add(text)
  return null
}

function totpRow (userId: string, device: MovedTotp, { seal, window, nowSeconds }: MovingSettings): TotpRow {
  const { key, otherKey, name, algorithm, digits, periodSeconds, t0Seconds, lastStep, lastUsedAt, confirmedAt } = device
  const id = randomUUID()
  const hasOther = otherKey !== undefined && otherKey.length >= LEAST_SECRET_BYTES
  return {
    userId,
    id,
    name: onOneLine(name) || 'Authenticator',
    secret: seal.seal(key, devicePlace(userId, { id })),
    otherSecret: hasOther ? seal.seal(otherKey, otherPlace(userId, { id })) : null,
    otherUntil: hasOther ? new Date((nowSeconds + OTHER_READING_DAYS * 86_400) * 1000) : null,
    weak: key.length < STRONG_SECRET_BYTES,
    algorithm,
    digits,
    periodSeconds,
    t0Seconds,
    // A code that the other system accepted a moment ago, or would accept now, must not be accepted again.
    lastStep,
    stepsAhead: window,
    lastUsedAt,
    confirmedAt
  }
}

function passkeyFault ({ rpId, credentialId, publicKey, signCount, aaguid }: MovedPasskey): string | null {
  if (rpId === '') return 'its RP id is missing'
  if (credentialId.length === 0 || credentialId.length > MOST_CREDENTIAL_BYTES) return 'its credential id is out of range'
  if (publicKey.length === 0 || publicKey.length > 4096) return 'its public key is out of range'
  if (!Number.isInteger(signCount) || signCount < 0 || signCount >= LAST_SECONDS) return 'its counter is out of range'
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(aaguid)) return 'its AAGUID is no UUID'
  return null
}

function passkeyRow (userId: string, passkey: MovedPasskey, handle: Buffer | null): PasskeyRow {
  const { label: _, name, credentialId, publicKey, ...rest } = passkey
  return {
    ...rest,
    userId,
    id: randomUUID(),
    name: onOneLine(name) || 'Passkey',
    credentialId: credentialId.toString('hex'),
    publicKey: publicKey.toString('hex'),
    handle: handle?.toString('hex') ?? null
  }
}

const onOneLine = (name: string): string => name.replace(/[\p{Cc}\p{Cs}]/gu, '')

/** Makes the rows of the codes, and a note for each reason why codes stay behind. */
function codeRows (userId: string, codes: readonly MovedCode[], settings: MovingSettings, notes: FactorNote[]): CodeRow[] {
  const rows = new Map<string, CodeRow>()
  const behind = new Map<string, number>()
  const key = codeKey(settings.digestKey, userId)
  const hashed = hashesOf(codes)
  for (const code of codes) {
    if ('sha512' in code && hashed.has(code.sha512)) continue
    const row = rows.size === MOST_CODES ? { fault: `one user has at most ${MOST_CODES}` } : codeRow(userId, code, key, settings.seal)
    if ('fault' in row) behind.set(row.fault, (behind.get(row.fault) ?? 0) + 1)
    else rows.set(row.digest, row)
  }
  for (const [fault, count] of behind) {
    notes.push({ kind: 'recoveryCode', reason: `${count} recovery ${count === 1 ? 'code stays' : 'codes stay'} behind: ${fault}` })
  }
  return [...rows.values()]
}

/** SHA-512 of the codes that came as text: one that came in both forms is one code, and its strength is known. */
const hashesOf = (codes: readonly MovedCode[]): Set<string | null> =>
  new Set(codes.map((code) => 'code' in code && code.form === 'printed' ? codeText('sha512', code.code) : null))

function codeRow (userId: string, code: MovedCode, key: CodeKey, seal: Seal): CodeRow | { fault: string } {
  if ('digest' in code) {
    const { digest, form, weak, origin } = code
    if (saltOf(digest) === null && !/^[A-Za-z0-9_-]{43}$/.test(digest)) return { fault: 'not a digest that an export has' }
    return { userId, digest, form, weak, fast: weak && saltOf(digest) === null, origin: sealOrigin(seal, origin, { userId, digest }) }
  }
  if ('sha512' in code) {
    if (!SHA512.test(code.sha512)) return { fault: 'not a SHA-512 in base64' }
    return { userId, digest: codeDigest(key, 'sha512', code.sha512), form: 'sha512', weak: true, fast: true, origin: null }
  }
  const { form } = code
  const text = codeText(form, code.code)
  if (text === null) return { fault: form === 'django' ? 'not 8 symbols of base32' : 'not 6 to 128 printable symbols' }
  // 8 symbols have 40 bits.
  const strength = form === 'django' ? 'weak' : strengthOf(code.code)
  if (strength === 'disguised') return { fault: 'the form of one made here, with fewer bits' }
  const weak = strength === 'weak'
  return { userId, digest: codeDigest(key, form, text), form, weak, fast: weak, origin: null }
}
