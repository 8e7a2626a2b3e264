import type { Config } from '../config/config.js'
import { parsePostgresAddress } from '../postgres/address.js'
import { serversFault } from '../postgres/connect.js'
import { openDjango } from '../imports/django/source.js'
import { importDjango, type ImportReport } from '../imports/django/import.js'
import type { Note } from '../imports/django/translate.js'
import { withContext } from './context.js'
import { CommandError, printable, type Io } from './io.js'

export interface ImportCommandOptions {
  from: string
  dryRun?: boolean
  since?: string
  /** PGPASSWORD. If it is undefined, the command asks for a password when the server needs one. */
  password: string | undefined
}

/** Exit code of a finished run that left rows out or changed them. The report lists them. */
const INCOMPLETE = 3

export async function importDjangoCommand (
  io: Io, config: Config, { from, dryRun = false, since, password }: ImportCommandOptions
): Promise<number> {
  requireAddress(from)
  const sinceDate = since === undefined ? null : dateOf(since)
  return await withContext(config, async ({ db, seal, digestKey }) => {
    const source = await openDjango(from, async () => password ?? await askSourcePassword(io))
    const progress = io.progress(dryRun ? 'rehearsing' : 'importing')
    let notes = 0
    try {
      const report = await importDjango({
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

async function askSourcePassword (io: Io): Promise<string> {
  if (!io.isInteractive) throw new CommandError('The source wants a password: set PGPASSWORD.')
  return await io.askSecret('Password of the source database')
}

function requireAddress (from: string): void {
  const fault = serversFault(from)
  if (fault !== undefined) throw new CommandError(`--from must ${fault}.`)
  const { password, user, database } = parsePostgresAddress(from)
  if (password !== '') {
    throw new CommandError('Leave the password out of --from, since everybody on this machine can read it there: ' +
      'set PGPASSWORD, or give it at the prompt.')
  }
  if (user === '' || database === '') throw new CommandError('--from must name a user and a database: postgres://user@host/database')
}

function dateOf (text: string): Date {
  const date = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(date.getTime())) {
    throw new CommandError('--since must be a date such as 2026-11-23 or 2026-11-23T09:00:00Z.')
  }
  return date
}

function lineOf ({ djangoId, username, kind, reason }: Note): string {
  return `${kind} of ${printable(username)} (${djangoId}): ${reason}`
}

function linesOf ({ users, passwords, profiles, oauthProfiles, devices, recoveryCodes }: ImportReport): string[] {
  return [
    `users          ${users.brought} of ${users.found} brought over, ${users.alreadyHere} here already (${users.changedThereSince} ` +
      `changed there since, ${users.deletedHere} deleted here), ${users.leftOut} left out`,
    `passwords      ${passwords.brought} brought over, ${passwords.none} had none, ${passwords.leftOut} left out`,
    `profiles       ${profiles.brought} brought over, ${profiles.made} made from the user's own row`,
    `OAuth profiles ${oauthProfiles.brought} brought over`,
    `devices        ${devices.brought} brought over, ${devices.pendingLeftBehind} never confirmed and left behind, ${devices.leftOut} ` +
      'left out',
    `recovery codes ${recoveryCodes.brought} brought over, ${recoveryCodes.leftBehind} left behind; ` +
      `${recoveryCodes.loneDevicesLeftBehind} recovery devices without another device left behind`
  ]
}
