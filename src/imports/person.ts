import type { MovedFactors } from '../factors/moving/factors.js'

/** Kinds of rows that a note can name. */
export type RowKind = 'user' | 'password' | 'device' | 'passkey' | 'recoveryCode'

/** Row that was omitted or changed, with the reason. Never contains a value of the row, except the username. */
export interface Note {
  kind: RowKind
  /** Id of the user there, or the number of its line in a file; null if the line could not be read so far. */
  externalId: string | null
  /** Number of the line in a file. */
  line?: number
  username: string
  reason: string
}

/** User of another system, in the terms of this one. */
export interface Person {
  /** Id there; unique in its source. */
  externalId: string
  line?: number
  /** Name there; empty for the e-mail address. */
  username: string
  /** As this service stores it; null if no password works there. */
  passwordHash: string | null
  email: string
  emailVerified: boolean
  locale: string | null
  phone: string
  firstName: string
  lastName: string
  /** False if the data above are not of a profile of the user's own. */
  hasProfile: boolean
  powerAccountId: number | null
  powerContactId: number | null
  isStaff: boolean
  isActive: boolean
  /** Null for the time of the import. */
  createdAt: Date | null
  updatedAt: Date | null
  factors: MovedFactors
  /** True if a second factor was asked for there: without one that comes, the password alone opens nothing. */
  owesFactor: boolean
  oauthProfiles: Array<{ serviceName: string, url: string, credentials: string }>
  /** Data that decides about access, as a text whose digest shows a later change. */
  facts: string
  /** Rows that the source itself could not translate. */
  notes: Array<Pick<Note, 'kind' | 'reason'>>
  /** Rows that are not in `factors`: unreadable ones, which the notes name, and those that prove nothing there. */
  omitted: { devices: number, passkeys: number, pendingDevices: number, recoveryCodes: number, loneRecoveryDevices: number }
}

/** Person, or a row that is none. */
export type Entry = { person: Person } | { note: Note }

/** Users read and written at once, and bytes of a file that are read before they are written. */
export const PAGE_USERS = 1_000
export const PAGE_BYTES = 4 * 1024 * 1024

/** Page of a source, and how much of the source is read: users, or bytes of a file. */
export interface Page { entries: Entry[], done: number, total: number }

/** Another system: only reads and translates. */
export interface Source {
  /** Name in `account_import`. */
  name: string
  /**
   * Returns pages in a fixed order, from one snapshot.
   *
   * @param since null for all users
   */
  pages (since: Date | null): AsyncIterable<Page>
  close (): Promise<void>
}

/** Error of a source that cannot be used, with a message of one line for the operator. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
}

/** Person with nothing but a name. */
export function emptyPerson (externalId: string, username: string): Person {
  return {
    externalId,
    username,
    passwordHash: null,
    email: '',
    emailVerified: false,
    locale: null,
    phone: '',
    firstName: '',
    lastName: '',
    hasProfile: true,
    powerAccountId: null,
    powerContactId: null,
    isStaff: false,
    isActive: true,
    createdAt: null,
    updatedAt: null,
    factors: { totp: [], passkeys: [], passkeyHandle: null, codes: [] },
    owesFactor: false,
    oauthProfiles: [],
    facts: '',
    notes: [],
    omitted: { devices: 0, passkeys: 0, pendingDevices: 0, recoveryCodes: 0, loneRecoveryDevices: 0 }
  }
}
