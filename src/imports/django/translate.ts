import type { MovedTotp } from '../../factors/moving/factors.js'
import { isUnusable, keepDjangoHash } from '../../accounts/foreign-hashes.js'
import type { Person } from '../person.js'
import type { DjangoTotpDevice, DjangoUser } from './source.js'

/** The year 2106. */
const LAST_SECONDS = 2 ** 32

/**
 * Translates a user of Django.
 *
 * @param window steps accepted here on each side of now
 */
export function translate (source: DjangoUser, window: number): Person {
  const confirmed = source.totpDevices.filter(({ confirmed }) => confirmed)
  const tokens = confirmed.length === 0 ? [] : source.staticTokens.filter(({ confirmed }) => confirmed)
  const { profile } = source
  const notes: Person['notes'] = []
  const totp = confirmed.flatMap((device) => totpOf(device, window, (reason) => { notes.push({ kind: 'device', reason }) }) ?? [])
  return {
    externalId: String(source.id),
    username: source.username,
    passwordHash: isUnusable(source.password) ? null : keepDjangoHash(source.password),
    email: profile?.email ?? source.email,
    emailVerified: false,
    locale: null,
    phone: profile?.phone ?? '',
    firstName: profile?.firstName ?? source.firstName,
    lastName: profile?.lastName ?? source.lastName,
    hasProfile: profile !== null,
    powerAccountId: profile?.powerAccountId ?? null,
    powerContactId: profile?.powerContactId ?? null,
    isStaff: source.isStaff,
    isActive: source.isActive,
    createdAt: profile?.createdAt ?? source.joinedAt,
    updatedAt: profile?.updatedAt ?? source.joinedAt,
    factors: { totp, passkeys: [], passkeyHandle: null, codes: tokens.map(({ token }) => ({ code: token, form: 'django' })) },
    owesFactor: confirmed.length > 0,
    oauthProfiles: source.oauthProfiles,
    facts: `imported from Django\0${factsOf(source)}`,
    notes,
    omitted: {
      devices: confirmed.length - totp.length,
      passkeys: 0,
      pendingDevices: source.totpDevices.length - confirmed.length,
      recoveryCodes: source.staticTokens.length - tokens.length,
      loneRecoveryDevices: confirmed.length === 0 ? source.staticDevices : 0
    }
  }
}

/** Returns null, with a note, if the key cannot be read. */
function totpOf (device: DjangoTotpDevice, window: number, note: (reason: string) => void): MovedTotp | null {
  const { key, step, digits, drift, tolerance, lastT } = device
  const label = `device ${device.id}`
  if (!/^([0-9a-f]{2})+$/i.test(key)) {
    note(`${label} stays behind: its key is not hexadecimal`)
    return null
  }
  if (Math.abs(drift) > window) note(`${label}: its drift of ${drift} steps is beyond the ${window} accepted here and was dropped`)
  if (tolerance > window) note(`${label}: its tolerance of ${tolerance} steps is beyond the ${window} accepted here and was dropped`)
  const t0Seconds = driftedT0(device, window)
  return {
    label,
    key: Buffer.from(key, 'hex'),
    name: device.name,
    algorithm: 'SHA1',
    digits,
    periodSeconds: step,
    t0Seconds,
    lastStep: lastT,
    lastUsedAt: timeOf(t0Seconds + lastT * step, lastT),
    confirmedAt: null
  }
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

/** Returns the data that decides about access. Data that changes with each log-in is not part of it. */
function factsOf (source: DjangoUser): string {
  const devices = source.totpDevices.filter(({ confirmed }) => confirmed).map(({ id, key, digits, step }) => [id, key, digits, step])
  const tokens = source.staticTokens.map(({ token }) => token).sort()
  return JSON.stringify([source.username, source.password, source.isActive, source.isStaff, devices, tokens])
}
