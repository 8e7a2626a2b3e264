import { randomUUID } from 'node:crypto'
import { createCounters } from '../../core/counters.js'
import { newRecoveryCode } from '../../core/recovery/recovery-codes.js'
import { setupDigest, SETUP_CODE_SECONDS } from '../../core/recovery/setup-codes.js'
import { passwordFault } from '../../core/passwords/password-rule.js'
import { normalisePassword } from '../../core/passwords/passwords.js'
import { checkTotp, normaliseTotp, otpauthUrl, standardTotp } from '../../core/totp/totp.js'
import { normaliseUsername, usernameKey } from '../../core/usernames.js'
import type { Config } from '../../config/config.js'
import { accountKey, readAccount } from '../../accounts/accounts.js'
import { passwordRuleOf } from '../../accounts/password-rule.js'
import { createUser, findUser, readNowSeconds, setPassword } from '../../staff/command-line.js'
import { readEvents } from '../../events/log.js'
import type { Db } from '../../tables/db.js'
import { findUsers, readUser, type UserPage } from '../../staff/users.js'
import { digestsOf, newEnrolment, type ProvenDevice } from '../../factors/enrolment.js'
import { devicePlace } from '../../factors/totp/verification.js'
import { createHasher } from '../../accounts/hasher.js'
import { withContext, type Context } from '../context.js'
import { CommandError, MisuseError, printable, shownTime, table, type Io } from '../io.js'
import { countOption, emailOption, lineOption, nameOption } from '../options.js'
import { setupLines } from '../staff.js'

const CODE_TRIES = 3
const PAGE_USERS = 500
const MOST_EVENTS = 10_000

export interface UserOptions { email?: string, firstName?: string, lastName?: string, phone?: string, staff?: boolean, otp?: boolean }

/**
 * Creates an account. With `--otp`, a code of the phone is checked before anything is stored; the QR code and the recovery
 * codes are shown once. Staff without `--otp` get a set-up code, as after a reset, because a password alone is not enough.
 */
export async function createUserCommand (io: Io, config: Config, username: string, options: UserOptions): Promise<void> {
  const name = normaliseUsername(username)
  if (name === null) throw new MisuseError('A username has 1 to 150 letters, digits and @ . + - _')
  const { staff = false, otp = false } = options
  const profile = {
    email: emailOption(options.email ?? ''),
    firstName: nameOption('--first-name', options.firstName ?? '', 'firstName'),
    lastName: nameOption('--last-name', options.lastName ?? '', 'lastName'),
    locale: null,
    phone: lineOption('--phone', options.phone ?? '', 'phone')
  }
  await withContext(config, async (context) => {
    const { db } = context
    const id = randomUUID()
    if (await findUser(db, usernameKey(name)) !== undefined) throw new CommandError('This username is taken.')
    const passwordHash = await hashNewPassword(io, config, name, [profile.firstName, profile.lastName])
    const enrolled = otp ? await enrol(io, context, id, name) : null
    // Staff have more than a password from the beginning.
    const setupCode = staff && enrolled === null ? newRecoveryCode() : null
    const made = await createUser(db, {
      account: { ...profile, id, username: name, usernameKey: usernameKey(name), passwordHash },
      isStaff: staff,
      device: enrolled?.device ?? null,
      setup: setupCode === null ? null : { digest: setupDigest(await context.digestKey(), id, setupCode)!, seconds: SETUP_CODE_SECONDS }
    })
    if (made === null) throw new CommandError('This username is taken.')
    const { createdAt, setupExpiresAt } = made
    io.print({
      id,
      username: name,
      isStaff: staff,
      createdAt,
      ...(enrolled === null ? {} : { recoveryCodes: enrolled.recoveryCodes }),
      ...(setupCode === null ? {} : { setupCode, expiresAt: setupExpiresAt })
    }, [
      `Made ${staff ? 'staff member' : 'user'} ${name} (${id}).`,
      ...(enrolled === null ? [] : ['Recovery codes, shown this once:', ...enrolled.recoveryCodes.map((code) => `  ${code}`)]),
      ...(setupCode === null ? [] : setupLines(setupCode, setupExpiresAt!))
    ])
  })
}

export async function listUsersCommand (io: Io, config: Config): Promise<void> {
  await withContext(config, async ({ db }) => { await printUsers(io, db, '') })
}

/**
 * Finds users by the beginning of the name or by the whole e-mail address, as the route for staff does. Exits with 1 if it
 * finds none.
 */
export async function findUserCommand (io: Io, config: Config, query: string): Promise<void> {
  const text = lineOption('What to look for', query, 'email')
  if (text.trim() === '') throw new MisuseError('Give the beginning of a username, or an e-mail address.')
  await withContext(config, async ({ db }) => {
    if (await printUsers(io, db, text) === 0) throw new CommandError('No user has this name or e-mail address.')
  })
}

/**
 * Prints the users until the reader closes the output.
 *
 * @returns the number of printed users
 */
async function printUsers (io: Io, db: Db, query: string): Promise<number> {
  let count = 0
  for (let cursor: string | null = null, isFirst = true; (isFirst || cursor !== null) && io.isRead(); isFirst = false) {
    const page: UserPage = (await findUsers(db, query, PAGE_USERS, cursor))!
    cursor = page.nextCursor
    count += page.users.length
    if (page.users.length === 0) break
    if (io.json) for (const user of page.users) io.print(user, [])
    else {
      const lines = table(
        ['username', 'e-mail', 'staff', 'active', '2FA', 'since'],
        page.users.map(({ username, email, isStaff, isActive, isOtpEnabled, createdAt }) =>
          [username, email, yes(isStaff), yes(isActive), yes(isOtpEnabled), createdAt.toISOString().slice(0, 10)])
      )
      io.print(page.users, isFirst ? lines : lines.slice(1))
    }
  }
  return count
}

/** Shows an account as the route for staff does. */
export async function showUserCommand (io: Io, config: Config, username: string): Promise<void> {
  await withContext(config, async (context) => {
    const user = await readUser(context.db, (await requireUser(context, username)).id)
    if (user === undefined) throw new CommandError('No user has this username.')
    io.print(user, Object.entries(user).map(([name, value]) => `${name}: ${shown(value)}`))
  })
}

/** Lists the newest events of a user's log, with the actor of each. */
export async function userEventsCommand (io: Io, config: Config, username: string, { limit: typed }: { limit: string }): Promise<void> {
  const limit = countOption('--limit', typed, MOST_EVENTS)
  await withContext(config, async (context) => {
    const { id } = await requireUser(context, username)
    const { events } = (await readEvents(context.db, id, limit, null))!
    if (io.json) for (const event of events) io.print(event, [])
    else {
      io.print(events, table(['at', 'event', 'by', 'address', 'detail'], events.map(({ at, kind, actorId, ip, detail }) =>
        [shownTime(at), kind, actorId ?? '', ip, detail ?? ''])))
    }
  })
}

export async function setPasswordCommand (io: Io, config: Config, username: string): Promise<void> {
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    const { firstName = '', lastName = '' } = await readAccount(context.db, user.id) ?? {}
    const passwordHash = await hashNewPassword(io, config, user.username, [firstName, lastName])
    const { endedSessions } = await setPassword(context.db, user.id, passwordHash)
    io.print({ id: user.id, endedSessions }, [`Changed the password of ${printable(user.username)}: ${endedSessions} sessions have ended.`])
  })
}

/**
 * Returns the user of a name, in any case.
 *
 * @throws {CommandError} if there is none
 */
export async function requireUser ({ db }: Context, username: string): Promise<{ id: string, username: string, isActive: boolean }> {
  const user = await findUser(db, await accountKey(db, username))
  if (user === undefined) throw new CommandError('Nobody has this username.')
  return user
}

async function hashNewPassword (
  io: Io, config: Config, username: string, names: readonly string[]
): Promise<string> {
  const typed = await io.askSecret('New password')
  if (typed === '') throw new CommandError('Give the password at the prompt, or as a line of standard input.')
  if (io.isInteractive && await io.askSecret('Once more') !== typed) throw new CommandError('The two passwords differ.')
  const password = normalisePassword(typed)
  const rule = passwordRuleOf(config, createCounters(), () => {
    io.warn('BREACHED_PASSWORDS_URL does not answer: the password is accepted without it.')
  })
  const fault = await passwordFault(password, { username, names }, rule)
  if (fault !== null) throw new CommandError(`Choose another password: this one is ${fault}.`)
  return await (await createHasher(1)).hash(password)
}

/** Shows the secret once. The first code proves that the phone has stored it. */
async function enrol (
  io: Io, context: Context, userId: string, username: string
): Promise<{ device: ProvenDevice, recoveryCodes: string[] }> {
  const { db, seal, config } = context
  const { toString: drawQr } = await import('qrcode')
  const { id, secret, recoveryCodes } = newEnrolment(config.otpRecoveryCodes)
  const url = otpauthUrl(config.otpIssuer, username, secret, standardTotp)
  io.say(coloured(io, await drawQr(url, { type: 'utf8', errorCorrectionLevel: 'L' })))
  io.say(url)
  for (let tried = 0; tried < CODE_TRIES; tried++) {
    const code = normaliseTotp(await io.askSecret('Scan it, then give the code that the app shows'))
    const check = code === null
      ? null
      : checkTotp(secret, code, await readNowSeconds(db), { ...standardTotp, lastStep: -1, window: config.otpWindow })
    if (check?.accepted !== true) continue
    const sealedSecret = seal.seal(secret, devicePlace(userId, { id }))
    return {
      recoveryCodes,
      device: {
        id, name: 'Authenticator', sealedSecret, step: check.step, digests: digestsOf(await context.digestKey(), userId, recoveryCodes)
      }
    }
  }
  throw new CommandError('The code is wrong: nobody was made.')
}

/** Returns the QR code in black on white for any terminal theme, because many phones cannot read inverted codes. */
function coloured ({ isTerminal }: Io, qr: string): string {
  return isTerminal ? qr.split('\n').map((line) => `\u001B[107m\u001B[30m${line}\u001B[0m`).join('\n') : qr
}

const yes = (is: boolean) => is ? 'yes' : 'no'

function shown (value: unknown): string {
  if (value instanceof Date) return shownTime(value)
  if (typeof value === 'boolean') return yes(value)
  return value === null || value === '' ? '–' : printable(String(value))
}
