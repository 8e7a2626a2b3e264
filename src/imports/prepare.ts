import { createHmac, randomUUID } from 'node:crypto'
import { trimmedName } from '../core/normal-forms.js'
import { usernameKey } from '../core/usernames.js'
import { hashFault, NO_PASSWORD } from '../accounts/foreign-hashes.js'
import { factorRows, type MovingSettings } from '../factors/moving/factors.js'
import type { MovedRows } from '../factors/moving/statements.js'
import type { Note, Person, RowKind } from './person.js'
import type { AccountRow, OauthRow } from './statements.js'

/** Rule of `POST /token`: with any other name, no user could log in. */
const USERNAME = /^[^\p{Cc}\p{Cs}]{1,150}$/u

/** Rows of one user, ready to be stored. */
export interface PreparedPerson {
  externalId: string
  account: AccountRow
  factors: MovedRows
  oauthProfiles: OauthRow[]
}

export interface Prepared {
  /** Null if the user is not imported. */
  rows: PreparedPerson | null
  notes: Note[]
}

/** Decides about all rows of a user. Nothing is stored yet. */
export function prepare (person: Person, place: number, settings: MovingSettings): Prepared {
  const { externalId, line } = person
  const username = trimmedName(person.username === '' ? person.email : person.username)
  const notes: Note[] = []
  const note = (kind: RowKind, reason: string) => {
    notes.push({ kind, externalId, ...(line === undefined ? {} : { line }), username: person.username || person.email, reason })
  }
  for (const { kind, reason } of person.notes) note(kind, reason)
  if (!USERNAME.test(username)) {
    note('user', 'the username must have 1 to 150 characters, none of them a control character')
    return { rows: null, notes }
  }
  const id = randomUUID()
  const { notes: factorNotes, ...factors } = factorRows(id, person.factors, settings)
  for (const { kind, reason } of factorNotes) note(kind, reason)
  const fault = person.passwordHash === null ? null : hashFault(person.passwordHash)
  if (fault !== null) note('password', `the password stays behind: ${fault}`)
  const hasFactor = factors.devices.length + factors.passkeys.length > 0
  const setupRequired = person.owesFactor && !hasFactor
  if (setupRequired) note('user', 'no second factor could come: staff must give a set-up code')
  const createdAt = person.createdAt ?? new Date(settings.nowSeconds * 1000)
  return {
    notes,
    rows: {
      externalId,
      factors,
      account: {
        place,
        id,
        externalId,
        fingerprint: createHmac('sha256', settings.digestKey).update(person.facts).digest('base64url'),
        username,
        usernameKey: usernameKey(username),
        passwordHash: fault !== null || person.passwordHash === null ? NO_PASSWORD : person.passwordHash,
        isActive: person.isActive,
        isStaff: person.isStaff,
        email: person.email,
        emailVerifiedAt: person.emailVerified && person.email !== '' ? createdAt : null,
        locale: person.locale,
        phone: person.phone,
        firstName: person.firstName,
        lastName: person.lastName,
        powerAccountId: person.powerAccountId,
        powerContactId: person.powerContactId,
        createdAt,
        updatedAt: person.updatedAt ?? createdAt,
        setupRequired
      },
      oauthProfiles: person.oauthProfiles.map(({ serviceName, url, credentials }) => {
        const row = randomUUID()
        const sealed = settings.seal.seal(Buffer.from(credentials), { table: 'account_oauth_profile', row, userId: id })
        return { userId: id, id: row, serviceName, url, credentials: sealed }
      })
    }
  }
}
