import type { Seal } from '../core/keys/seal.js'
import type { MovingSettings } from '../factors/moving/factors.js'
import { readNowSeconds } from '../staff/command-line.js'
import type { Db } from '../tables/db.js'
import type { Note, Page, Person, Source } from './person.js'
import { prepare, type Prepared } from './prepare.js'
import { emptyReport, type ImportReport } from './report.js'
import { importing, type Written } from './write.js'

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
 * Imports the users of a source that are not imported yet, one page at a time, so its memory does not grow with the number of users.
 * The next page is read and prepared while PostgreSQL writes one.
 */
export async function importPeople (options: ImportOptions): Promise<ImportReport> {
  const { db, source, seal, digestKey, window, since, isRehearsal, onNote, onProgress } = options
  return await importing(db, source.name, isRehearsal, async (write, connected) => {
    const report = emptyReport()
    const settings = { seal, digestKey, window, nowSeconds: await readNowSeconds(connected) }
    onProgress(0, 0)
    for await (const { notes, people, done, total } of oneAhead(preparedPages(source.pages(since), settings))) {
      report.users.found += notes.length + people.length
      report.users.leftOut += notes.length
      for (const note of notes) onNote(note)
      const written = await write(people.flatMap(({ rows }) => rows ?? []))
      for (const note of people.flatMap((one) => outcome(report, one, written))) onNote(note)
      onProgress(done, total)
      settings.nowSeconds = await readNowSeconds(connected)
    }
    return report
  })
}

/** Page that is ready to be written, with the notes on rows that are no users. */
interface PreparedPage { notes: Note[], people: Array<Prepared & { person: Person }>, done: number, total: number }

/** @param settings the time in it is read for each page */
async function * preparedPages (pages: AsyncIterable<Page>, settings: MovingSettings): AsyncGenerator<PreparedPage> {
  for await (const { entries, done, total } of pages) {
    const page: PreparedPage = { notes: [], people: [], done, total }
    for (const [place, entry] of entries.entries()) {
      if ('note' in entry) page.notes.push(entry.note)
      else page.people.push({ person: entry.person, ...prepare(entry.person, place, settings) })
    }
    yield page
  }
}

/** Makes the next item while the caller works with one. */
async function * oneAhead<Item> (items: AsyncIterable<Item>): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = iterator.next()
      // A fault is thrown when the caller asks for that item.
      next.catch(() => {})
      yield value
    }
  } finally {
    await iterator.return?.()
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
