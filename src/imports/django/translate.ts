import { createHmac, randomUUID } from 'node:crypto'
import { trimmedName } from '../../core/normal-forms.js'
import { normaliseWeakCode, weakRecoveryDigest } from '../../core/recovery-codes.js'
import type { Seal } from '../../core/seal.js'
import { usernameKey } from '../../core/usernames.js'
import type { DjangoTotpDevice, DjangoUser } from './source.js'
import type { ImportedDevice, ImportedUser } from './target.js'
import { MOST_DEVICES } from '../../factors/enrolment-statements.js'
import { djangoHashFault, isUnusable, keepDjangoHash, NO_PASSWORD } from '../../accounts/django-hashes.js'

/** Kinds of rows that a note can name. */
export type RowKind = 'user' | 'password' | 'device' | 'recoveryCode'

/** Row that was omitted or changed, with the reason. Never contains a secret. */
export interface Note { kind: RowKind, djangoId: number, username: string, reason: string }

export interface Translation {
  /** Null if the user is not imported. */
  user: ImportedUser | null
  notes: Note[]
  /** Omitted on purpose: in Django they prove nothing, or are unsafe. */
  pendingDevices: number
  loneRecoveryDevices: number
  /** True if the user has no password in Django either. */
  hasNoPassword: boolean
}

export interface TranslationSettings {
  seal: Seal
  digestKey: Buffer
  /** Steps accepted on each side of now. */
  window: number
}

/** Rule of `POST /token`: with any other name, no user could log in. */
const USERNAME = /^[^\p{Cc}\p{Cs}]{1,150}$/u
/** 80 bits, the length of the first authenticator apps. A shorter secret can be found from a few codes. */
const LEAST_SECRET_BYTES = 10
const LARGEST_INTEGER = 2 ** 31 - 1
/** The year 2106. Until then, no counter may exceed its column. */
const LAST_SECONDS = 2 ** 32

/** Translates a user of Django. The result has all decided facts; nothing is stored yet. */
export function translate (source: DjangoUser, settings: TranslationSettings): Translation {
  const { seal, digestKey } = settings
  const notes: Note[] = []
  const note = (kind: RowKind, reason: string) => { notes.push({ kind, djangoId: source.id, username: source.username, reason }) }
  const confirmed = source.totpDevices.filter(({ confirmed }) => confirmed)
  const counts = {
    pendingDevices: source.totpDevices.length - confirmed.length,
    loneRecoveryDevices: confirmed.length === 0 ? source.staticDevices : 0,
    hasNoPassword: isUnusable(source.password)
  }

  const username = trimmedName(source.username)
  if (!USERNAME.test(username)) {
    note('user', 'the username must have 1 to 150 characters, none of them a control character')
    return { user: null, notes, ...counts }
  }
  const id = randomUUID()
  const devices = deviceRows(source, id, settings, note)
  const codes = devices.length === 0 ? [] : codeRows(source, digestKey, id, note)
  const { profile } = source
  const fault = counts.hasNoPassword ? null : djangoHashFault(source.password)
  if (fault !== null) note('password', `the password stays behind: ${fault}`)

  const user: ImportedUser = {
    id,
    djangoId: source.id,
    fingerprint: fingerprintOf(source, digestKey),
    username,
    usernameKey: usernameKey(username),
    passwordHash: counts.hasNoPassword || fault !== null ? NO_PASSWORD : keepDjangoHash(source.password),
    isActive: source.isActive,
    isStaff: source.isStaff,
    email: profile?.email ?? source.email,
    phone: profile?.phone ?? '',
    firstName: profile?.firstName ?? source.firstName,
    lastName: profile?.lastName ?? source.lastName,
    powerAccountId: profile?.powerAccountId ?? null,
    powerContactId: profile?.powerContactId ?? null,
    createdAt: profile?.createdAt ?? source.joinedAt,
    updatedAt: profile?.updatedAt ?? source.joinedAt,
    // The user had a second factor that cannot be imported, so the password alone must not be enough now.
    setupRequired: confirmed.length > 0 && devices.length === 0,
    devices,
    codes,
    oauthProfiles: source.oauthProfiles.map(({ serviceName, url, credentials }) => {
      const row = randomUUID()
      return {
        id: row, serviceName, url, credentials: seal.seal(Buffer.from(credentials), { table: 'account_oauth_profile', row, userId: id })
      }
    })
  }
  if (user.setupRequired) note('user', 'none of their devices could come: staff must give them a set-up code')
  return { user, notes, ...counts }
}

type NoteDown = (kind: RowKind, reason: string) => void

function deviceRows (source: DjangoUser, userId: string, { seal, window }: TranslationSettings, note: NoteDown): ImportedDevice[] {
  const confirmed = source.totpDevices.filter(({ confirmed }) => confirmed)
  const rows: ImportedDevice[] = []
  for (const device of confirmed) {
    const fault = rows.length === MOST_DEVICES ? `one user has at most ${MOST_DEVICES}` : deviceFault(device)
    if (fault !== null) {
      note('device', `device ${device.id} stays behind: ${fault}`)
      continue
    }
    if (Math.abs(device.drift) > window) {
      note('device', `device ${device.id}: its drift of ${device.drift} steps is beyond the ${window} accepted here and was dropped`)
    }
    if (device.tolerance > window) {
      note(
        'device', `device ${device.id}: its tolerance of ${device.tolerance} steps is beyond the ${window} accepted here and was dropped`
      )
    }
    const id = randomUUID()
    const t0Seconds = driftedT0(device, window)
    rows.push({
      id,
      name: device.name.replace(/\p{Cc}/gu, '') || 'Authenticator',
      secret: seal.seal(Buffer.from(device.key, 'hex'), { table: 'otp_device', row: id, userId }),
      digits: device.digits,
      periodSeconds: device.step,
      t0Seconds,
      lastStep: device.lastT,
      lastUsedAt: timeOf(t0Seconds + device.lastT * device.step, device.lastT)
    })
  }
  return rows
}

/**
 * Converts a drift to a `t0`. django-otp counts steps as `(now - t0) // step + drift`, accepts those within its tolerance,
 * and stores the matching one as `last_t` and the difference as the new drift. With the shifted `t0`, the same counter
 * matches the same code, and a used step stays used.
 */
function driftedT0 ({ t0, step, drift }: DjangoTotpDevice, window: number): number {
  return Math.abs(drift) <= window ? t0 - drift * step : t0
}

/** Returns the time of a step; null for no step, and for one that is too far away to have been shown. */
function timeOf (atSeconds: number, step: number): Date | null {
  return step < 0 || Math.abs(atSeconds) > LAST_SECONDS ? null : new Date(atSeconds * 1000)
}

function deviceFault (device: DjangoTotpDevice): string | null {
  const { key, step, t0, digits, drift, lastT } = device
  if (!/^([0-9a-f]{2})+$/i.test(key)) return 'its key is not hexadecimal'
  if (key.length / 2 < LEAST_SECRET_BYTES) return `its key is shorter than ${LEAST_SECRET_BYTES * 8} bits`
  if (digits < 6 || digits > 8) return `its codes have ${digits} digits, not 6 to 8`
  if (step < 1) return 'its step is no time'
  if (Math.abs(t0) + Math.abs(drift * step) > LARGEST_INTEGER || lastT > LARGEST_INTEGER || lastT < -1) {
    return 'its t0 or last step is out of range'
  }
  if ((LAST_SECONDS - t0 + Math.abs(drift * step)) / step > LARGEST_INTEGER) return 'its step is so short that its counter would run out'
  return null
}

function codeRows (source: DjangoUser, digestKey: Buffer, userId: string, note: NoteDown): string[] {
  const digests = new Set<string>()
  let strange = 0
  for (const { token, confirmed } of source.staticTokens) {
    if (!confirmed) continue
    const code = normaliseWeakCode(token)
    if (code === null) strange++
    else digests.add(weakRecoveryDigest(digestKey, userId, code))
  }
  if (strange > 0) {
    note('recoveryCode', `${strange} recovery ${strange === 1 ? 'code stays' : 'codes stay'} behind: not 8 symbols of base32`)
  }
  return [...digests]
}

/**
 * Returns a fingerprint of the data that decides about access, so that a later run finds changes in Django. Data that
 * changes with each log-in is not part of it.
 */
function fingerprintOf (source: DjangoUser, digestKey: Buffer): string {
  const devices = source.totpDevices.filter(({ confirmed }) => confirmed).map(({ id, key, digits, step }) => [id, key, digits, step])
  const tokens = source.staticTokens.map(({ token }) => token).sort()
  const facts = JSON.stringify([source.username, source.password, source.isActive, source.isStaff, devices, tokens])
  return createHmac('sha256', digestKey).update(`imported from Django\0${facts}`).digest('base64url')
}
