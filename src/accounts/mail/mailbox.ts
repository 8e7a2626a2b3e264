import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { clock } from '../../tables/values.js'

/** Address of an account as mails see it. */
export interface Mailbox {
  email: string
  /** Address that replaces it once verified. */
  pendingEmail: string | null
  isVerified: boolean
  /** The mail server refused the address. */
  isStopped: boolean
  version: number
}

const selectMailbox = statement('read_mailbox', (db, p: Parameters<{ userId: string }>) => db.selectFrom('account as a')
  .innerJoin('otp_user as u', (join) => join.on((eb) => eb('u.user_id', '=', eb.cast<string>('a.id', 'text'))))
  .where('a.id', '=', p.userId)
  .select((eb) => [
    'a.email', 'a.pending_email as pendingEmail', eb('a.email_verified_at', 'is not', null).$castTo<boolean>().as('isVerified'),
    eb('a.email_stopped_at', 'is not', null).$castTo<boolean>().as('isStopped'), 'u.version'
  ]))

export const readMailbox = async (db: Db, userId: string): Promise<Mailbox | null> => await selectMailbox.first(db, { userId }) ?? null

const raise = statement('raise_version', (db, p: Parameters<{ userId: string }>) => db.updateTable('otp_user')
  .set((eb) => ({ version: eb('version', '+', 1) })).where('user_id', '=', p.userId))

/** Raises the version of a user: decisions that began before are refused, and links for a new password become invalid. */
export async function raiseVersion (db: Db, userId: string): Promise<void> {
  await raise.changed(db, { userId })
}

const setVerified = statement('set_verified_email', (db, p: Parameters<{ userId: string, email: string }>) => db.updateTable('account')
  .set({ email: p.email, pending_email: null, email_verified_at: clock, email_stopped_at: null, updated_at: clock })
  .where('id', '=', p.userId))

/** Makes an address the verified one, to which mails go. */
export async function verifyEmail (db: Db, userId: string, email: string): Promise<void> {
  await setVerified.changed(db, { userId, email })
}

const setPending = statement('set_pending_email', (db, p: Parameters<{ userId: string, email: string | null }>) => db.updateTable('account')
  .set({ pending_email: p.email, updated_at: clock }).where('id', '=', p.userId))

export async function setPendingEmail (db: Db, userId: string, email: string | null): Promise<void> {
  await setPending.changed(db, { userId, email })
}

const stopLinks = statement('stop_password_links', (db, p: Parameters<{ userId: string }>) => db.updateTable('account')
  .set({ password_links_stopped_at: clock }).where('id', '=', p.userId))

/** Mails no link for a new password until a log-in, or until staff resume them. */
export async function stopPasswordLinks (db: Db, userId: string): Promise<void> {
  await stopLinks.changed(db, { userId })
}

const resume = statement('resume_mails', (db, p: Parameters<{ userId: string }>) => db.updateTable('account')
  .set({ email_stopped_at: null, password_links_stopped_at: null }).where('id', '=', p.userId)
  .where((eb) => eb.or([eb('email_stopped_at', 'is not', null), eb('password_links_stopped_at', 'is not', null)])))

/** Clears both stops. Returns false if there was none. */
export const resumeMails = async (db: Db, userId: string): Promise<boolean> => await resume.changed(db, { userId }) > 0
