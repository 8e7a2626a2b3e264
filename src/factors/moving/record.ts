import { Type, type Static, type TObject } from '@sinclair/typebox'
import type { ErrorObject } from 'ajv'
import { LINE, longest, STORABLE } from '../../core/texts.js'
import type { CodeForm } from '../../core/recovery/recovery-codes.js'
import { totpStep } from '../../core/totp/totp.js'
import type { MovedCode, MovedFactors, MovedPasskey, MovedTotp } from './factors.js'
import { algorithmOf } from '../passkeys/cose.js'
import { readSecret, type SecretRecord } from './secrets.js'

/*
 * Part of a moving record that is about factors (docs/moving.md): for the service's JSON lines and for attached hosts.
 */

const closed = { additionalProperties: false }
/** Only times that exist, but for a day past the end of its month, which counts into the next one. */
const DATE = '^(?!0000)\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?' +
  '(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$'
const BASE64URL = '^[A-Za-z0-9_-]+$'
const LONGEST_SECRET = 4096

/** Time of ISO 8601 with a zone, or null. */
export const Time = Type.Union([Type.String({ pattern: DATE }), Type.Null()])
const Bytes = (most: number, description: string) => Type.String({ pattern: BASE64URL, maxLength: Math.ceil(most * 4 / 3), description })
const Name = Type.String({ pattern: LINE, maxLength: longest.deviceName, description: 'Name that the user sees.' })
const Whole = (minimum: number, maximum: number, description: string) => Type.Integer({ minimum, maximum, description })
const SecretText = Type.String({ pattern: STORABLE, minLength: 1, maxLength: LONGEST_SECRET })

const Secret = Type.Unsafe<Exclude<SecretRecord, Uint8Array>>(Type.Object({
  base32: Type.Optional(SecretText), hex: Type.Optional(SecretText), text: Type.Optional(SecretText), otpauth: Type.Optional(SecretText)
}, {
  ...closed, minProperties: 1, maxProperties: 1, description: 'The key in exactly one encoding. `text`: its UTF-8 bytes are the key.'
}))

export const TotpRecord = Type.Object({
  secret: Secret,
  name: Type.Optional(Name),
  algorithm: Type.Optional(Type.Union([Type.Literal('SHA1'), Type.Literal('SHA256'), Type.Literal('SHA512')], { default: 'SHA1' })),
  digits: Type.Optional(Whole(6, 8, 'Digits of a code; 6 by default.')),
  periodSeconds: Type.Optional(Whole(1, 2 ** 31 - 1, '30 by default.')),
  t0Seconds: Type.Optional(Whole(-(2 ** 31) + 1, 2 ** 31 - 1, 'Unix time of step 0; 0 by default.')),
  lastStep: Type.Optional(Type.Integer({ minimum: -1, maximum: 2 ** 31 - 1, description: 'Last accepted step, -1 if there was none.' })),
  confirmedAt: Type.Optional(Time),
  lastUsedAt: Type.Optional(Time),
  otherSecret: Type.Optional(Secret)
}, { ...closed, title: 'MovingTotp' })

export const PasskeyRecord = Type.Object({
  rpId: Type.String({ pattern: '^[A-Za-z0-9.-]{1,253}$', description: 'Domain that it is bound to.' }),
  credentialId: Bytes(1023, 'Base64url.'),
  publicKey: Bytes(4096, 'COSE_Key, in base64url.'),
  signCount: Whole(0, 2 ** 32 - 1, 'Last counter.'),
  userHandle: Type.Optional(Bytes(64, 'Id of the user that the authenticator stores, in base64url.')),
  name: Type.Optional(Name),
  transports: Type.Optional(Type.Array(Type.String({ pattern: LINE, maxLength: 32 }), { maxItems: 16 })),
  aaguid: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' })),
  backupEligible: Type.Boolean(),
  backedUp: Type.Boolean(),
  confirmedAt: Type.Optional(Time),
  lastUsedAt: Type.Optional(Time)
}, { ...closed, title: 'MovingPasskey' })

export const RecoveryCodeRecord = Type.Object({
  code: Type.Optional(Type.String({ pattern: LINE, minLength: 1, maxLength: 256, description: 'As it was printed.' })),
  digest: Type.Optional(Type.String({ pattern: LINE, minLength: 1, maxLength: 256 })),
  algorithm: Type.Optional(Type.Literal('sha512', { description: 'The digest is the SHA-512 of the printed symbols, in base64.' })),
  key: Type.Optional(Bytes(32, 'Key of a digest of an export: of this user alone.')),
  userId: Type.Optional(Type.String({ pattern: LINE, minLength: 1, maxLength: 255 })),
  form: Type.Optional(Type.Union((['own', 'printed', 'django', 'sha512'] as const).map((form) => Type.Literal(form)))),
  weak: Type.Optional(Type.Boolean()),
  usedAt: Type.Optional(Time)
}, {
  ...closed, title: 'MovingRecoveryCode', description: '`code`; or `digest` and `algorithm`; or, of an export, `digest`, `key`, `userId`.'
})

export const factorFields = {
  totp: Type.Optional(Type.Array(TotpRecord, { maxItems: 100 })),
  passkeys: Type.Optional(Type.Array(PasskeyRecord, { maxItems: 100 })),
  recoveryCodes: Type.Optional(Type.Array(RecoveryCodeRecord, { maxItems: 100 }))
}

/** Factors of one user. In code, a secret may also be its bytes. */
export type FactorsRecord = Omit<Static<TObject<typeof factorFields>>, 'totp'> & {
  totp?: Array<Omit<Static<typeof TotpRecord>, 'secret' | 'otherSecret'> & { secret: SecretRecord, otherSecret?: SecretRecord }>
}

/** Returns the part of a record that a fault is in and the rule, never a value. A path has only names of the schema and numbers. */
export function faultOf ([error]: readonly ErrorObject[]): string {
  const place = error!.instancePath === '' ? 'the record' : error!.instancePath.slice(1)
  return `${place} ${error!.keyword === 'additionalProperties' ? 'has a field that is not known' : error!.message ?? 'is wrong'}`
}

export interface ReadFactors {
  factors: MovedFactors
  /** Rows that cannot be read. */
  notes: Array<{ kind: 'device' | 'passkey' | 'recoveryCode', reason: string }>
  /** Devices that were never confirmed. */
  pendingDevices: number
  usedCodes: number
  /** True if there is a confirmed factor, readable or not. */
  hasFactor: boolean
}

const timeOf = (text: string | null | undefined): Date | null => typeof text === 'string' ? new Date(text) : null

/** Reads the factors of a record that fits the schema. */
export async function readFactors ({ totp = [], passkeys = [], recoveryCodes = [] }: FactorsRecord): Promise<ReadFactors> {
  const notes: ReadFactors['notes'] = []
  const confirmed = totp.map((device, i) => ({ device, label: `device ${i + 1}` })).filter(({ device }) => device.confirmedAt !== null)
  const devices: MovedTotp[] = []
  for (const { device, label } of confirmed) {
    const read = readTotp(device, label)
    if ('fault' in read) notes.push({ kind: 'device', reason: `${label} stays behind: ${read.fault}` })
    else devices.push(read)
  }
  const confirmedKeys = passkeys.map((passkey, i) => ({ passkey, label: `passkey ${i + 1}` }))
    .filter(({ passkey }) => passkey.confirmedAt !== null)
  const keys: MovedPasskey[] = []
  for (const { passkey, label } of confirmedKeys) {
    const read = await readPasskey(passkey, label)
    if ('fault' in read) notes.push({ kind: 'passkey', reason: `${label} stays behind: ${read.fault}` })
    else keys.push(read)
  }
  const unused = recoveryCodes.filter(({ usedAt }) => typeof usedAt !== 'string')
  const codes = unused.map(readCode)
  const unreadable = codes.filter((code) => code === null).length
  if (unreadable > 0) {
    notes.push({ kind: 'recoveryCode', reason: `${unreadable} stay behind: a code, or a digest of a known kind, was expected` })
  }
  const handle = passkeys.find(({ userHandle }) => userHandle !== undefined)?.userHandle
  return {
    factors: {
      totp: devices,
      passkeys: keys,
      passkeyHandle: handle === undefined ? null : Buffer.from(handle, 'base64url'),
      codes: codes.filter((code) => code !== null)
    },
    notes,
    pendingDevices: totp.length - confirmed.length + passkeys.length - confirmedKeys.length,
    usedCodes: recoveryCodes.length - unused.length,
    hasFactor: confirmed.length + confirmedKeys.length > 0
  }
}

type TotpFields = NonNullable<FactorsRecord['totp']>[number]

/** A secret that is an otpauth URI has parameters of its own, which must not contradict the record's. */
function readTotp (device: TotpFields, label: string): MovedTotp | { fault: string } {
  const read = readSecret(device.secret)
  if ('fault' in read) return { fault: `its secret ${read.fault}` }
  for (const name of ['algorithm', 'digits', 'periodSeconds'] as const) {
    const theirs = read.parameters[name]
    if (theirs !== undefined && device[name] !== undefined && device[name] !== theirs) {
      return { fault: `its otpauth URI has another value for "${name}"` }
    }
  }
  const other = device.otherSecret === undefined ? undefined : readSecret(device.otherSecret)
  if (other !== undefined && 'fault' in other) return { fault: `its other secret ${other.fault}` }
  const { algorithm = 'SHA1', digits = 6, periodSeconds = 30 } = { ...device, ...read.parameters }
  const { name = '', t0Seconds = 0, lastStep = null } = device
  const confirmedAt = timeOf(device.confirmedAt)
  const usedAt = timeOf(device.lastUsedAt)
  return {
    label,
    key: read.key,
    ...(other === undefined ? {} : { otherKey: other.key }),
    name,
    algorithm,
    digits,
    periodSeconds,
    t0Seconds,
    lastStep,
    lastUsedAt: usedAt ?? (lastStep === null || lastStep < 0 ? null : timeOfStep(lastStep, { digits, periodSeconds, t0Seconds })),
    confirmedAt
  }
}

/** Returns null for a step that is too far away to have been shown. */
function timeOfStep (step: number, parameters: { digits: number, periodSeconds: number, t0Seconds: number }): Date | null {
  const seconds = parameters.t0Seconds + step * parameters.periodSeconds
  return seconds > 2 ** 32 || totpStep(parameters, seconds) !== step ? null : new Date(seconds * 1000)
}

const NO_AAGUID = '00000000-0000-0000-0000-000000000000'

async function readPasskey (passkey: Static<typeof PasskeyRecord>, label: string): Promise<MovedPasskey | { fault: string }> {
  const publicKey = Buffer.from(passkey.publicKey, 'base64url')
  const algorithm = await algorithmOf(publicKey)
  if (algorithm === null) return { fault: 'its public key is not one of ES256, EdDSA or RS256' }
  const { rpId, signCount, name = '', transports = [], aaguid = NO_AAGUID, backupEligible, backedUp } = passkey
  return {
    label,
    name,
    rpId,
    credentialId: Buffer.from(passkey.credentialId, 'base64url'),
    publicKey,
    algorithm,
    signCount,
    transports,
    aaguid,
    backupEligible,
    backedUp,
    lastUsedAt: timeOf(passkey.lastUsedAt),
    confirmedAt: timeOf(passkey.confirmedAt)
  }
}

/** Returns null unless the record has the fields of one kind and no others. */
function readCode ({ usedAt: _, ...fields }: Static<typeof RecoveryCodeRecord>): MovedCode | null {
  const { code, digest, algorithm, key, userId, form = 'own', weak = true } = fields
  const names = Object.keys(fields).sort().join()
  if (names === 'code') return { code: code!, form: 'printed' }
  if (names === 'algorithm,digest' && algorithm === 'sha512') return { sha512: digest! }
  if (digest === undefined || key === undefined || userId === undefined || code !== undefined || algorithm !== undefined) return null
  const bytes = Buffer.from(key, 'base64url')
  if (bytes.length !== 32) return null
  return { digest, form: form as CodeForm, weak: form === 'printed' ? weak : form !== 'own', origin: { key: bytes, userId } }
}
