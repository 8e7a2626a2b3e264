import { randomUUID } from 'node:crypto'
import { passwordFault } from '../core/password-faults.js'
import { normalisePassword } from '../core/passwords.js'
import { checkTotp, newTotpSecret, normaliseTotp, otpauthUrl, standardTotp } from '../core/totp.js'
import { normaliseUsername, usernameKey } from '../core/usernames.js'
import type { Config } from '../config.js'
import { createUser, findUser, listUsers, readNowSeconds, setPassword, type FirstDevice } from '../db/command-line.js'
import { digestsOf, newCodes } from '../flows/enrol.js'
import { commandLine, deactivate } from '../flows/staff.js'
import { devicePlace } from '../flows/verify.js'
import { createHasher } from '../hasher.js'
import { withContext, type Context } from './context.js'
import { CommandError, printable, table, type Io } from './io.js'
import { emailOption, lineOption, reasonOption } from './options.js'
import { staffDeps } from './staff.js'

const CODE_TRIES = 3

export interface UserOptions { email?: string, firstName?: string, lastName?: string, phone?: string, staff?: boolean, otp?: boolean }

/** Makes somebody. With `--otp` their phone proves itself before anything is stored; QR code and recovery codes are shown once. */
export async function createUserCommand (io: Io, config: Config, username: string, options: UserOptions): Promise<void> {
  const name = normaliseUsername(username)
  if (name === null) throw new CommandError('A username has 1 to 150 letters, digits and @ . + - _')
  const { staff = false, otp = false } = options
  const profile = {
    email: emailOption(options.email ?? ''),
    firstName: lineOption('--first-name', options.firstName ?? '', 'firstName'),
    lastName: lineOption('--last-name', options.lastName ?? '', 'lastName'),
    phone: lineOption('--phone', options.phone ?? '', 'phone')
  }
  await withContext(config, async (context) => {
    const { db } = context
    const id = randomUUID()
    if (await findUser(db, usernameKey(name)) !== undefined) throw new CommandError('This username is taken.')
    const passwordHash = await hashNewPassword(io, config, name)
    const enrolled = otp ? await enrol(io, context, id, name) : null
    const made = await createUser(db, { ...profile, id, username: name, usernameKey: usernameKey(name), passwordHash }, staff, enrolled?.device ?? null)
    if (made === null) throw new CommandError('This username is taken.')
    io.print({ id, username: name, isStaff: staff, createdAt: made.createdAt, ...(enrolled === null ? {} : { recoveryCodes: enrolled.recoveryCodes }) }, [
      `Made ${staff ? 'staff member' : 'user'} ${name} (${id}).`,
      ...(enrolled === null ? [] : ['Recovery codes, shown this once:', ...enrolled.recoveryCodes.map((code) => `  ${code}`)])
    ])
  })
}

export async function listUsersCommand (io: Io, config: Config): Promise<void> {
  await withContext(config, async ({ db }) => {
    for (let after = '', isFirst = true; ; isFirst = false) {
      const users = await listUsers(db, after)
      if (users.length === 0) return
      after = users.at(-1)!.key
      if (io.json) for (const { key, ...user } of users) io.print(user, [])
      else {
        const lines = table(['username', 'e-mail', 'staff', 'active', '2FA', 'since'], users.map((user) =>
          [user.username, user.email, yes(user.isStaff), yes(user.isActive), yes(user.isOtpEnabled), user.createdAt.toISOString().slice(0, 10)]))
        io.print(users, isFirst ? lines : lines.slice(1))
      }
    }
  })
}

export async function deactivateUserCommand (io: Io, config: Config, username: string, { reason: typed }: { reason: string }): Promise<void> {
  const reason = reasonOption(typed)
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    await deactivate(staffDeps(context), commandLine, user.id, reason)
    io.print({ id: user.id, isActive: false }, [`Deactivated ${printable(user.username)}: every session has ended.`])
  })
}

export async function setPasswordCommand (io: Io, config: Config, username: string): Promise<void> {
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    const { endedSessions } = await setPassword(context.db, user.id, await hashNewPassword(io, config, user.username))
    io.print({ id: user.id, endedSessions }, [`Changed the password of ${printable(user.username)}: ${endedSessions} sessions have ended.`])
  })
}

/** @throws {CommandError} if nobody has this name, whatever its case */
export async function requireUser ({ db }: Context, username: string): Promise<{ id: string, username: string, isActive: boolean }> {
  const user = await findUser(db, usernameKey(username))
  if (user === undefined) throw new CommandError('Nobody has this username.')
  return user
}

async function hashNewPassword (io: Io, { passwordMinLength }: Config, username: string): Promise<string> {
  const typed = await io.askSecret('New password')
  if (typed === '') throw new CommandError('Give the password at the prompt, or as a line of standard input.')
  if (io.isInteractive && await io.askSecret('Once more') !== typed) throw new CommandError('The two passwords differ.')
  const password = normalisePassword(typed)
  const fault = await passwordFault(password, username, passwordMinLength)
  if (fault !== null) throw new CommandError(`Choose another password: this one is ${fault}.`)
  return await (await createHasher(1)).hash(password)
}

/** The secret is shown here and never again; the first code of the phone shows that it took it. */
async function enrol (io: Io, context: Context, userId: string, username: string): Promise<{ device: FirstDevice, recoveryCodes: string[] }> {
  const { db, seal, config } = context
  const { toString: drawQr } = await import('qrcode')
  const secret = newTotpSecret()
  const url = otpauthUrl(config.otpIssuer, username, secret, standardTotp)
  io.say(coloured(io, await drawQr(url, { type: 'utf8', errorCorrectionLevel: 'L' })))
  io.say(url)
  for (let tried = 0; tried < CODE_TRIES; tried++) {
    const code = normaliseTotp(await io.askSecret('Scan it, then give the code that the app shows'))
    const check = code === null ? null : checkTotp(secret, code, await readNowSeconds(db), { ...standardTotp, lastStep: -1, window: config.otpWindow })
    if (check?.accepted !== true) continue
    const id = randomUUID()
    const recoveryCodes = newCodes(config.otpRecoveryCodes)
    const sealedSecret = seal.seal(secret, devicePlace(userId, { id }))
    return { recoveryCodes, device: { id, name: 'Authenticator', sealedSecret, step: check.step, digests: digestsOf(await context.digestKey(), userId, recoveryCodes) } }
  }
  throw new CommandError('The code is wrong: nobody was made.')
}

/** Black on white, on terminals of whatever colour: many phones do not read a code whose light and dark are exchanged. */
function coloured ({ isTerminal }: Io, qr: string): string {
  return isTerminal ? qr.split('\n').map((line) => `\u001B[107m\u001B[30m${line}\u001B[0m`).join('\n') : qr
}

const yes = (is: boolean) => is ? 'yes' : 'no'
