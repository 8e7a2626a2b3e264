import type { Seal } from '../core/keys/seal.js'
import { readNowSeconds } from '../staff/command-line.js'
import type { Db } from '../tables/db.js'
import type { Entry, Note, Person, Source } from './person.js'
import { prepare, type Prepared } from './prepare.js'
import { emptyReport, type ImportReport } from './report.js'
import { importing, type WriteBatch, type Written } from './write.js'

export interface ImportOptions {
  db: Db
  source: Source
  seal: Seal
  digestKey: Buffer
  /** Steps accepted on each side of now. */
  window: number
  since: Date | null
  isRehearsal: boolean
  /** Called immediately for each row that was omitted or changed, because there may be many. */
  onNote: (note: Note) => void
  /** Called with the part of the source that is processed: users, or bytes of a file. */
  onProgress: (done: number, total: number) => void
}

/**
 * Imports the users of a source that are not imported yet. Reads and writes one page at a time, so its memory does not grow with
 * the number of users.
 */
export async function importPeople (options: ImportOptions): Promise<ImportReport> {
  const { db, source, since, isRehearsal, onNote, onProgress } = options
  return await importing(db, source.name, isRehearsal, async (write) => {
    const report = emptyReport()
    onProgress(0, 0)
    for await (const { entries, done, total } of source.pages(since)) {
      const people = entries.flatMap((entry) => personOf(entry, report, onNote))
      await importPage(options, write, report, people)
      onProgress(done, total)
    }
    return report
  })
}

/** Counts and reports a row that is no user. */
function personOf (entry: Entry, report: ImportReport, onNote: ImportOptions['onNote']): Person[] {
  if ('person' in entry) return [entry.person]
  report.users.found++
  report.users.leftOut++
  onNote(entry.note)
  return []
}

async function importPage (
  { db, seal, digestKey, window, onNote }: ImportOptions, write: WriteBatch, report: ImportReport, people: readonly Person[]
): Promise<void> {
  const settings = { seal, digestKey, window, nowSeconds: await readNowSeconds(db) }
  const prepared = people.map((person, place) => ({ person, ...prepare(person, place, settings) }))
  const written = await write(prepared.flatMap(({ rows }) => rows ?? []))
  for (const one of prepared) {
    report.users.found++
    for (const note of outcome(report, one, written)) onNote(note)
  }
}

/** Counts one user, and returns the notes on it. */
function outcome (
  { users, ...kinds }: ImportReport, { person, rows, notes }: Prepared & { person: Person }, { brought, here, collisions, refused }: Written
): Note[] {
  const { externalId, line } = person
  const about = (reason: string): Note[] =>
    [{ kind: 'user', externalId, ...(line === undefined ? {} : { line }), username: person.username || person.email, reason }]
  const known = here.get(externalId)
  if (brought.has(externalId) && rows !== null) {
    users.brought++
    if (rows.account.setupRequired) users.owing++
    countBrought(kinds, person, rows, notes)
    return notes
  }
  if (known !== undefined) {
    users.alreadyHere++
    if (known === 'deleted') users.deletedHere++
    if (known !== 'changed') return []
    users.changedThereSince++
    return about('was brought over before and has changed there since: left as it is here')
  }
  users.leftOut++
  const fault = refused.get(externalId)
  if (fault !== undefined) return about(fault)
  const namesake = collisions.get(externalId)
  return namesake === undefined ? notes : about(`"${namesake}" has this username already, whatever its case`)
}

function countBrought (
  { passwords, profiles, oauthProfiles, devices, passkeys, recoveryCodes }: Omit<ImportReport, 'users'>,
  { passwordHash, hasProfile, factors, omitted }: Person, rows: NonNullable<Prepared['rows']>, notes: readonly Note[]
): void {
  passwords[notes.some(({ kind }) => kind === 'password') ? 'leftOut' : passwordHash === null ? 'none' : 'brought']++
  profiles[hasProfile ? 'brought' : 'made']++
  oauthProfiles.brought += rows.oauthProfiles.length
  devices.brought += rows.factors.devices.length
  devices.weak += rows.factors.devices.filter(({ weak }) => weak).length
  devices.pendingLeftBehind += omitted.pendingDevices
  devices.leftOut += omitted.devices + factors.totp.length - rows.factors.devices.length
  passkeys.brought += rows.factors.passkeys.length
  passkeys.leftOut += omitted.passkeys + factors.passkeys.length - rows.factors.passkeys.length
  recoveryCodes.brought += rows.factors.codes.length
  recoveryCodes.weak += rows.factors.codes.filter(({ weak }) => weak).length
  recoveryCodes.leftBehind += omitted.recoveryCodes + factors.codes.length - rows.factors.codes.length
  recoveryCodes.loneDevicesLeftBehind += omitted.loneRecoveryDevices
}
