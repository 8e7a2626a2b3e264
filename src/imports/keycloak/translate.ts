import { keepHash } from '../../accounts/foreign-hashes.js'
import { longest, shortened } from '../../core/texts.js'
import type { MovedCode, MovedTotp } from '../../factors/moving/factors.js'
import { fromBase32, isAlgorithm } from '../../factors/moving/secrets.js'
import { emptyPerson, type Person } from '../person.js'

export interface KeycloakCredential {
  type?: string
  userLabel?: string | null
  createdDate?: number
  /** JSON. */
  secretData?: string
  /** JSON. */
  credentialData?: string
}

/** User of a realm export. Every field may be missing. */
export interface KeycloakUser {
  id?: string
  username?: string
  email?: string
  emailVerified?: boolean
  enabled?: boolean
  firstName?: string
  lastName?: string
  createdTimestamp?: number
  serviceAccountClientId?: string
  attributes?: Record<string, string[]>
  credentials?: KeycloakCredential[]
}

interface Data { secret: Record<string, unknown>, facts: Record<string, unknown> }

const textOf = (value: unknown): string => typeof value === 'string' ? value : ''
/** Additional parameters are lists of texts. */
const first = (value: unknown): string => Array.isArray(value) ? textOf(value[0]) : textOf(value)
const dateOf = (value: unknown): Date | null =>
  typeof value === 'number' && Math.abs(value) < 8.64e15 ? new Date(value) : null

function dataOf ({ secretData = '{}', credentialData = '{}' }: KeycloakCredential): Data | null {
  try {
    const [secret, facts] = [JSON.parse(secretData), JSON.parse(credentialData)] as [Data['secret'] | null, Data['facts'] | null]
    return typeof secret === 'object' && typeof facts === 'object' ? { secret: secret ?? {}, facts: facts ?? {} } : null
  } catch {
    return null
  }
}

/** Translates a user of a realm. */
export function translate (user: KeycloakUser): Person {
  const notes: Person['notes'] = []
  const of = (type: string) => (user.credentials ?? []).filter((credential) => credential.type === type)
  const [apps, keys] = [of('otp'), of('webauthn')]
  const totp = apps.flatMap((credential, i) => totpOf(credential, `device ${i + 1}`, notes))
  for (const [i] of keys.entries()) {
    notes.push({ kind: 'passkey', reason: `passkey ${i + 1} stays behind: its domain is not in the export` })
  }
  const codes = of('recovery-authn-codes').flatMap(codesOf)
  const createdAt = dateOf(user.createdTimestamp)
  const username = user.username ?? ''
  return {
    ...emptyPerson(user.id ?? username, username),
    email: user.email ?? '',
    emailVerified: user.emailVerified === true,
    firstName: shortened(user.firstName ?? '', longest.firstName),
    lastName: shortened(user.lastName ?? '', longest.lastName),
    phone: shortened(first(user.attributes?.['phoneNumber']) || first(user.attributes?.['phone_number']), longest.phone),
    locale: /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.exec(first(user.attributes?.['locale']))?.[0] ?? null,
    passwordHash: passwordOf(of('password')),
    isActive: user.enabled !== false,
    createdAt,
    updatedAt: createdAt,
    factors: { totp, passkeys: [], passkeyHandle: null, codes },
    owesFactor: apps.length + keys.length > 0,
    facts: `imported from Keycloak\0${JSON.stringify([
      username, user.enabled, (user.credentials ?? []).map(({ type, secretData }) => [type, secretData])
    ])}`,
    notes,
    omitted: { devices: apps.length - totp.length, passkeys: keys.length, pendingDevices: 0, recoveryCodes: 0, loneRecoveryDevices: 0 }
  }
}

/** Without a mark the key is the UTF-8 of the value; with `BASE32` it is decoded. */
function totpOf (credential: KeycloakCredential, label: string, notes: Person['notes']): MovedTotp[] {
  const stays = (reason: string): [] => {
    notes.push({ kind: 'device', reason: `${label} stays behind: ${reason}` })
    return []
  }
  const data = dataOf(credential)
  if (data === null) return stays('its data are not JSON')
  const { secret, facts } = data
  if (facts['subType'] !== 'totp') return stays('it is counter-based, not time-based')
  const algorithm = textOf(facts['algorithm'] ?? 'HmacSHA1').replace(/^Hmac/, '')
  if (!isAlgorithm(algorithm)) return stays('it is for an algorithm that is not known here')
  const value = textOf(secret['value'])
  const encoding = facts['secretEncoding'] ?? secret['secretEncoding'] ?? null
  const key = encoding === null ? Buffer.from(value) : encoding === 'BASE32' ? fromBase32(value) : null
  if (key === null) return stays('its secret has an encoding that is not known here')
  return [{
    label,
    key,
    name: credential.userLabel ?? '',
    algorithm,
    digits: Number(facts['digits'] ?? 6),
    periodSeconds: Number(facts['period'] ?? 30),
    t0Seconds: 0,
    lastStep: null,
    lastUsedAt: null,
    confirmedAt: dateOf(credential.createdDate)
  }]
}

function codesOf (credential: KeycloakCredential): MovedCode[] {
  const codes = dataOf(credential)?.secret['codes']
  if (!Array.isArray(codes)) return []
  return codes.map((code: unknown) => ({ sha512: textOf((code as { encodedHashedValue?: unknown } | null)?.encodedHashedValue) }))
}

const PBKDF2: Readonly<Record<string, string>> = {
  'pbkdf2-sha512': 'pbkdf2-sha512', 'pbkdf2-sha256': 'pbkdf2-sha256', pbkdf2: 'pbkdf2-sha1'
}
const unpadded = (base64: string) => base64.replace(/=+$/, '')

/** Returns the stored form of the password's hash. A hash that cannot be read is kept as it is: the importer names it. */
function passwordOf ([credential]: readonly KeycloakCredential[]): string | null {
  if (credential === undefined) return null
  const data = dataOf(credential)
  const [value, salt] = [unpadded(textOf(data?.secret['value'])), unpadded(textOf(data?.secret['salt']))]
  const algorithm = textOf(data?.facts['algorithm'])
  const iterations = String(data?.facts['hashIterations'])
  const name = PBKDF2[algorithm]
  if (name !== undefined) return keepHash(`$${name}$i=${iterations}$${salt}$${value}`)
  if (algorithm !== 'argon2') return keepHash(`${algorithm}$`)
  const more = (data?.facts['additionalParameters'] ?? {}) as Record<string, unknown>
  const version = first(more['version']) === '1.0' ? 16 : 19
  const cost = `m=${first(more['memory'])},t=${iterations},p=${first(more['parallelism'])}`
  return keepHash(`$argon2${first(more['type'])}$v=${version}$${cost}$${salt}$${value}`)
}
