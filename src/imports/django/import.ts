import type { Seal } from '../../core/seal.js'
import type { DjangoSource, DjangoUser } from './source.js'
import { importing, type WriteBatch } from './target.js'
import type { Db } from '../../tables/db.js'
import { translate, type Note, type Translation } from './translate.js'

/** Numbers of imported and omitted rows, by kind. */
export interface ImportReport {
  users: { found: number, brought: number, alreadyHere: number, changedThereSince: number, deletedHere: number, leftOut: number }
  passwords: { brought: number, none: number, leftOut: number }
  profiles: { brought: number, made: number }
  oauthProfiles: { brought: number }
  devices: { brought: number, pendingLeftBehind: number, leftOut: number }
  recoveryCodes: { brought: number, leftBehind: number, loneDevicesLeftBehind: number }
}

export interface ImportOptions {
  db: Db
  source: DjangoSource
  seal: Seal
  digestKey: Buffer
  window: number
  since: Date | null
  isRehearsal: boolean
  /** Called immediately for each row that was omitted or changed, because there may be many. */
  onNote: (note: Note) => void
  /** Called with the number of processed users. */
  onProgress: (done: number, total: number) => void
}

/**
 * Imports the users of a Django deployment that are not imported yet. Reads and writes one page at a time, so its memory
 * does not grow with the number of users.
 */
export async function importDjango (options: ImportOptions): Promise<ImportReport> {
  const { db, source, since, isRehearsal, onProgress } = options
  const total = await source.count(since)
  return await importing(db, isRehearsal, async (write) => {
    const report = emptyReport()
    onProgress(0, total)
    for await (const users of source.pages(since)) {
      await importPage(options, write, report, users)
      onProgress(report.users.found, total)
    }
    return report
  })
}

async function importPage (options: ImportOptions, write: WriteBatch, report: ImportReport, users: readonly DjangoUser[]): Promise<void> {
  const { onNote } = options
  const translated = users.map((source) => ({ source, ...translate(source, options) }))
  const { brought, here, collisions, refused } = await write(translated.flatMap(({ user }) => user ?? []))
  for (const { source, ...translation } of translated) {
    const about = (reason: string): Note => ({ kind: 'user', djangoId: source.id, username: source.username, reason })
    report.users.found++
    const known = here.get(source.id)
    if (brought.has(source.id)) {
      countBrought(report, source, translation)
      translation.notes.forEach(onNote)
    } else if (known !== undefined) {
      report.users.alreadyHere++
      if (known === 'deleted') report.users.deletedHere++
      if (known !== 'changed') continue
      report.users.changedThereSince++
      onNote(about('was brought over before and has changed there since: left as they are here'))
    } else {
      report.users.leftOut++
      const namesake = collisions.get(source.id)
      if (refused.has(source.id)) onNote(about('has a value that the database refuses, such as a date that is none'))
      else if (namesake === undefined) translation.notes.forEach(onNote)
      else onNote(about(`"${namesake}" has this username already, whatever its case`))
    }
  }
}

function countBrought (
  report: ImportReport, source: DjangoUser, { user, notes, pendingDevices, loneRecoveryDevices, hasNoPassword }: Translation
): void {
  if (user === null) return
  const { users, passwords, profiles, oauthProfiles, devices, recoveryCodes } = report
  const passwordLeftOut = notes.some(({ kind }) => kind === 'password')
  users.brought++
  passwords[hasNoPassword ? 'none' : passwordLeftOut ? 'leftOut' : 'brought']++
  profiles[source.profile === null ? 'made' : 'brought']++
  oauthProfiles.brought += user.oauthProfiles.length
  devices.brought += user.devices.length
  devices.pendingLeftBehind += pendingDevices
  devices.leftOut += source.totpDevices.length - pendingDevices - user.devices.length
  recoveryCodes.brought += user.codes.length
  recoveryCodes.leftBehind += source.staticTokens.length - user.codes.length
  recoveryCodes.loneDevicesLeftBehind += loneRecoveryDevices
}

function emptyReport (): ImportReport {
  return {
    users: { found: 0, brought: 0, alreadyHere: 0, changedThereSince: 0, deletedHere: 0, leftOut: 0 },
    passwords: { brought: 0, none: 0, leftOut: 0 },
    profiles: { brought: 0, made: 0 },
    oauthProfiles: { brought: 0 },
    devices: { brought: 0, pendingLeftBehind: 0, leftOut: 0 },
    recoveryCodes: { brought: 0, leftBehind: 0, loneDevicesLeftBehind: 0 }
  }
}
