import type { Config } from '../../config/config.js'
import type { References } from '../../staff/statements.js'
import {
  commandLine, deactivate, demote, promote, reactivate, resumeMail, setReferences, unlockUser, type StaffDeps
} from '../../staff/changes.js'
import { withContext } from '../context.js'
import { MisuseError, printable, type Io } from '../io.js'
import { countOption, reasonOption } from '../options.js'
import { staffDeps } from '../staff.js'
import { requireUser } from './user.js'

/** Largest integer of PostgreSQL. */
const MOST_REFERENCE = 2_147_483_647

interface ReasonOption { reason: string }

type Work = (deps: StaffDeps, userId: string) => Promise<void>

/** Changes an account by the same function as the route for staff, with the same event. */
async function change (io: Io, config: Config, username: string, work: Work, value: object, said: (name: string) => string): Promise<void> {
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    await work(staffDeps(context), user.id)
    io.print({ id: user.id, ...value }, [said(printable(user.username))])
  })
}

export async function deactivateUserCommand (io: Io, config: Config, username: string, { reason: typed }: ReasonOption): Promise<void> {
  const reason = reasonOption(typed)
  await change(io, config, username, (deps, id) => deactivate(deps, commandLine, id, reason), { isActive: false },
    (name) => `Deactivated ${name}: every session has ended.`)
}

export async function reactivateUserCommand (io: Io, config: Config, username: string, { reason: typed }: ReasonOption): Promise<void> {
  const reason = reasonOption(typed)
  await change(io, config, username, (deps, id) => reactivate(deps, commandLine, id, reason), { isActive: true },
    (name) => `Reactivated ${name}.`)
}

export async function resumeMailCommand (io: Io, config: Config, username: string, { reason: typed }: ReasonOption): Promise<void> {
  const reason = reasonOption(typed)
  await change(io, config, username, (deps, id) => resumeMail(deps, commandLine, id, reason), { isMailStopped: false },
    (name) => `Mails to ${name} go out again.`)
}

export async function unlockUserCommand (io: Io, config: Config, username: string): Promise<void> {
  await change(io, config, username, (deps, id) => unlockUser(deps, commandLine, id), { failures: 0, lockedUntil: null, isStopped: false },
    (name) => `Unlocked the second factor of ${name}.`)
}

export async function promoteUserCommand (io: Io, config: Config, username: string, { reason: typed }: ReasonOption): Promise<void> {
  const reason = reasonOption(typed)
  await change(io, config, username, (deps, id) => promote(deps, commandLine, id, reason), { isStaff: true },
    (name) => `${name} is a member of staff.`)
}

export async function demoteUserCommand (io: Io, config: Config, username: string, { reason: typed }: ReasonOption): Promise<void> {
  const reason = reasonOption(typed)
  await change(io, config, username, (deps, id) => demote(deps, commandLine, id, reason), { isStaff: false },
    (name) => `${name} is not a member of staff.`)
}

export interface ReferenceOptions { powerAccountId?: string, powerContactId?: string }

export async function setReferencesCommand (
  io: Io, config: Config, username: string, { powerAccountId, powerContactId }: ReferenceOptions
): Promise<void> {
  const references: References = {
    ...(powerAccountId === undefined ? {} : { powerAccountId: referenceOption('--power-account-id', powerAccountId) }),
    ...(powerContactId === undefined ? {} : { powerContactId: referenceOption('--power-contact-id', powerContactId) })
  }
  if (Object.keys(references).length === 0) throw new MisuseError('Give --power-account-id or --power-contact-id.')
  await change(io, config, username, (deps, id) => setReferences(deps, commandLine, id, references), references,
    (name) => `Changed the accounts elsewhere of ${name}.`)
}

/** Returns null for "none". */
function referenceOption (option: string, text: string): number | null {
  return text === 'none' ? null : countOption(option, text, MOST_REFERENCE)
}
