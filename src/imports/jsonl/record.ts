import { Type, type Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { usernameKey } from '../../core/usernames.js'
import { EMAIL, LINE, longest, shortened } from '../../core/texts.js'
import { keepHash } from '../../accounts/foreign-hashes.js'
import { factorFields, faultOf, readFactors, Time } from '../../factors/moving/record.js'
import { emptyPerson, type Person } from '../person.js'

/** Name of the format in the first record of a file. */
export const FORMAT = 'countersign-moving'
export const VERSION = 1

const closed = { additionalProperties: false }
const Text = (maxLength: number, description: string) => Type.String({ pattern: LINE, maxLength, description })

export const personRecord = Type.Object({
  userId: Type.Optional(Type.String({ minLength: 1, maxLength: 255, pattern: LINE, description: 'Id of the user, for attached hosts.' })),
  username: Type.Optional(Text(150, 'Without it, the e-mail address is the name.')),
  externalId: Type.Optional(Type.String({
    minLength: 1, maxLength: 255, pattern: LINE, description: 'Id in the other system; the name by default.'
  })),
  email: Type.Optional(Type.String({ pattern: `^$|${EMAIL}`, maxLength: longest.email })),
  emailVerified: Type.Optional(Type.Boolean()),
  locale: Type.Optional(Type.Union([Type.String({ pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$', maxLength: 35 }), Type.Null()])),
  profile: Type.Optional(Type.Object({
    firstName: Type.Optional(Text(longest.firstName, 'First name.')),
    lastName: Type.Optional(Text(longest.lastName, 'Last name.')),
    phone: Type.Optional(Text(longest.phone, 'Telephone number.'))
  }, closed)),
  passwordHash: Type.Optional(Type.Union([Type.String({ pattern: LINE, maxLength: 1024 }), Type.Null()])),
  createdAt: Type.Optional(Time),
  isStaff: Type.Optional(Type.Boolean()),
  isActive: Type.Optional(Type.Boolean()),
  owesFactor: Type.Optional(Type.Boolean({
    description: 'True if a second factor was asked for, also one that cannot come: the user then needs a set-up code here.'
  })),
  ...factorFields
}, { ...closed, title: 'MovingRecord' })
export type PersonRecord = Static<typeof personRecord>

export const headerRecord = Type.Object({
  format: Type.Literal(FORMAT),
  version: Type.Literal(VERSION),
  sealed: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'Salt of the key, where the lines are sealed.' }))
}, { ...closed, title: 'MovingHeader' })

/** One line of a file: the header, or a user. */
export const movingSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Line of a Countersign moving file',
  anyOf: [headerRecord, personRecord]
}

const ajv = new Ajv({ strict: false, validateSchema: false, unicodeRegExp: true })
const isPerson = ajv.compile<PersonRecord>(personRecord)
const isHeader = ajv.compile<Static<typeof headerRecord>>(headerRecord)

export const looksLikeHeader = (value: unknown): boolean => typeof value === 'object' && value !== null && 'format' in value

/** Returns the header, or null if it is of another format or version. */
export const readHeader = (value: unknown): Static<typeof headerRecord> | null => isHeader(value) ? value : null

/**
 * Translates a value of a line into a person.
 *
 * @returns the fault and the username, as far as it can be read, if the value does not fit the schema
 */
export async function readPerson (value: unknown, line: number): Promise<Person | { fault: string, username: string }> {
  if (!isPerson(value)) {
    const name = (value as { username?: unknown } | null)?.username
    return { fault: faultOf(isPerson.errors!), username: typeof name === 'string' ? shortened(name, 150) : '' }
  }
  const { username = '', email = '', profile = {}, passwordHash = null, createdAt = null } = value
  const key = usernameKey(username === '' ? email : username)
  if (key === '') return { fault: 'the record has neither a username nor an e-mail address', username: '' }
  const { factors, notes, pendingDevices, usedCodes, hasFactor } = await readFactors(value)
  const created = createdAt === null ? null : new Date(createdAt)
  return {
    ...emptyPerson(value.externalId ?? key, username),
    line,
    passwordHash: passwordHash === null || passwordHash.startsWith('!') ? null : keepHash(passwordHash),
    email,
    emailVerified: value.emailVerified === true,
    locale: value.locale ?? null,
    phone: profile.phone ?? '',
    firstName: profile.firstName ?? '',
    lastName: profile.lastName ?? '',
    isStaff: value.isStaff === true,
    isActive: value.isActive !== false,
    createdAt: created,
    updatedAt: created,
    factors,
    owesFactor: value.owesFactor === true || hasFactor,
    facts: `imported from JSON lines\0${JSON.stringify([username, passwordHash, value.isActive, value.isStaff, factsOf(value)])}`,
    notes,
    omitted: {
      devices: notes.filter(({ kind }) => kind === 'device').length,
      passkeys: notes.filter(({ kind }) => kind === 'passkey').length,
      pendingDevices,
      recoveryCodes: usedCodes,
      loneRecoveryDevices: 0
    }
  }
}

/** Data that decides about access, without what changes with each log-in. */
function factsOf ({ totp = [], passkeys = [], recoveryCodes = [] }: PersonRecord): unknown {
  return [
    totp.map(({ secret, digits, periodSeconds }) => [secret, digits, periodSeconds]),
    passkeys.map(({ credentialId }) => credentialId),
    recoveryCodes.map(({ code, digest }) => code ?? digest)
  ]
}
