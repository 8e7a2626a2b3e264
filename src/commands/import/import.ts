import type { Config } from '../../config/config.js'
import { importPeople } from '../../imports/importer.js'
import type { Note, Source } from '../../imports/person.js'
import type { ImportReport } from '../../imports/report.js'
import { parsePostgresAddress } from '../../postgres/address.js'
import { serversFault } from '../../postgres/connect.js'
import { withContext } from '../context.js'
import { CommandError, MisuseError, printable, type Io } from '../io.js'

export interface ImportOptions { dryRun?: boolean, since?: string }

/** Options of a source that is a database. */
export interface FromOptions extends ImportOptions {
  from: string
  /** FROM_PASSWORD, or PGPASSWORD. If it is undefined, the command asks for a password when the server needs one. */
  password: string | undefined
}

/** Exit code of a finished run that left rows out or changed them. The report lists them. */
const INCOMPLETE = 3

/** Runs an import and prints its report. Returns the exit code. */
export async function importCommand (
  io: Io, config: Config, { dryRun = false, since }: ImportOptions, open: (config: Config) => Promise<Source>
): Promise<number> {
  const sinceDate = since === undefined ? null : dateOf(since)
  return await withContext(config, async ({ db, seal, digestKey }) => {
    const source = await open(config)
    const progress = io.progress(dryRun ? 'rehearsing' : 'importing')
    let notes = 0
    try {
      const report = await importPeople({
        // The receiver of a webhook must not get a hundred thousand events about imported users.
        db: { ...db, destinations: [] },
        source,
        seal,
        digestKey: await digestKey(),
        window: config.otpWindow,
        since: sinceDate,
        isRehearsal: dryRun,
        onProgress: progress.update,
        onNote (note) {
          notes++
          io.print({ note }, [lineOf(note)])
        }
      })
      progress.stop()
      io.print({ report, isRehearsal: dryRun }, [...linesOf(report), ...(dryRun ? ['A rehearsal: nobody was kept.'] : [])])
    } finally {
      progress.stop()
      await source.close()
    }
    return notes === 0 ? 0 : INCOMPLETE
  })
}

/** Returns the password of a source database from its variable or a prompt. */
export async function askSourcePassword (io: Io, password: string | undefined): Promise<string> {
  if (password !== undefined) return password
  if (!io.isInteractive) throw new CommandError('The source wants a password: set FROM_PASSWORD.')
  return await io.askSecret('Password of the source database')
}

export function requireAddress (from: string): void {
  const fault = serversFault(from)
  if (fault !== undefined) throw new MisuseError(`--from must ${fault}.`)
  const { password, user, database } = parsePostgresAddress(from)
  if (password !== '') {
    throw new MisuseError('Leave the password out of --from, since everybody on this machine can read it there: ' +
      'set FROM_PASSWORD, or give it at the prompt.')
  }
  if (user === '' || database === '') throw new MisuseError('--from must name a user and a database: postgres://user@host/database')
}

function dateOf (text: string): Date {
  const date = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(date.getTime())) {
    throw new MisuseError('--since must be a date such as 2026-11-23 or 2026-11-23T09:00:00Z.')
  }
  return date
}

function lineOf ({ externalId, line, username, kind, reason }: Note): string {
  const place = [line === undefined ? [] : `line ${line}`, externalId === null || line !== undefined ? [] : externalId].flat().join(', ')
  return `${kind} of ${printable(username) || '–'} (${printable(place)}): ${reason}`
}

function linesOf ({ users, passwords, profiles, oauthProfiles, devices, passkeys, recoveryCodes }: ImportReport): string[] {
  return [
    `users          ${users.brought} of ${users.found} brought over (${users.owing} need a set-up code), ${users.alreadyHere} here ` +
      `already (${users.changedThereSince} changed there since, ${users.deletedHere} deleted here), ${users.leftOut} left out`,
    `passwords      ${passwords.brought} brought over, ${passwords.none} had none, ${passwords.leftOut} left out`,
    `profiles       ${profiles.brought} brought over, ${profiles.made} made from the user's own row`,
    `OAuth profiles ${oauthProfiles.brought} brought over`,
    `devices        ${devices.brought} brought over (${devices.weak} with a short secret), ${devices.pendingLeftBehind} never confirmed ` +
      `and left behind, ${devices.leftOut} left out`,
    `passkeys       ${passkeys.brought} brought over, ${passkeys.leftOut} left out`,
    `recovery codes ${recoveryCodes.brought} brought over (${recoveryCodes.weak} that can be guessed), ${recoveryCodes.leftBehind} left ` +
      `behind; ${recoveryCodes.loneDevicesLeftBehind} recovery devices without another device left behind`
  ]
}
