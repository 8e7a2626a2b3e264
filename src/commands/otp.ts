import type { Config } from '../config/config.js'
import { readOtpState } from '../staff/command-line.js'
import { listDevices } from '../factors/device-statements.js'
import { commandLine, resetOtp } from '../staff/changes.js'
import { withContext } from './context.js'
import { printable, shownTime, table, type Io } from './io.js'
import { reasonOption } from './options.js'
import { setupLines, staffDeps } from './staff.js'
import { requireUser } from './user/user.js'

/**
 * Resets a second factor by the same function as the route for staff. It can reset staff too, which no route can. The code
 * is shown once.
 */
export async function resetOtpCommand (io: Io, config: Config, username: string, { reason: typed }: { reason: string }): Promise<void> {
  const reason = reasonOption(typed)
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    const { setupCode, expiresAt } = await resetOtp(staffDeps(context), commandLine, user.id, reason)
    io.print({ id: user.id, setupCode, expiresAt }, [
      `Reset the second factor of ${printable(user.username)}: every session has ended.`,
      ...setupLines(setupCode, expiresAt)
    ])
  })
}

export async function otpStatusCommand (io: Io, config: Config, username: string): Promise<void> {
  await withContext(config, async (context) => {
    const user = await requireUser(context, username)
    const devices = await listDevices(context.db, user.id)
    const state = await readOtpState(context.db, user.id)
    io.print({ id: user.id, isOtpEnabled: devices.length > 0, devices, ...state }, [
      `${printable(user.username)}: second factor ${devices.length > 0 ? 'on' : 'off'}`,
      ...(devices.length === 0
        ? []
        : table(
          ['device', 'kind', 'created', 'last used'],
          devices.map(({ name, kind, createdAt, lastUsedAt }) =>
            [name, kind, shownTime(createdAt), lastUsedAt === null ? '–' : shownTime(lastUsedAt)])
        )),
      `recovery codes left: ${state.recoveryCodesLeft}${state.recoveryCodesWeak ? ' (short ones, brought over: make new ones)' : ''}`,
      `wrong codes in a row: ${state.failures}${state.lockedUntil === null ? '' : `, locked until ${state.lockedUntil.toISOString()}`}`,
      ...(state.isStopped ? ['codes of apps are not accepted any more: a recovery code is needed, or staff to unlock the account'] : []),
      ...(state.setupRequired
        ? [`reset: waits for a set-up code${state.setupExpiresAt === null ? '' : `, good until ${state.setupExpiresAt.toISOString()}`}`]
        : [])
    ])
  })
}
