import type { Config } from '../../config/config.js'
import { parseSecrets } from '../../imports/better-auth/decrypt.js'
import { openBetterAuth } from '../../imports/better-auth/source.js'
import { askSourcePassword, importCommand, requireAddress, type FromOptions } from './import.js'
import { MisuseError, type Io } from '../io.js'
import { countOption } from '../options.js'

export interface BetterAuthCommandOptions extends FromOptions {
  digits: string
  period: string
  /** BETTER_AUTH_SECRET and BETTER_AUTH_SECRETS. */
  secret: string | undefined
  secrets: string | undefined
}

const MOST_PERIOD_SECONDS = 3600

export async function importBetterAuthCommand (
  io: Io, config: Config, { from, password, digits, period, secret, secrets, ...options }: BetterAuthCommandOptions
): Promise<number> {
  requireAddress(from)
  if (!['6', '7', '8'].includes(digits)) throw new MisuseError('--digits must be 6, 7 or 8.')
  const periodSeconds = countOption('--period', period, MOST_PERIOD_SECONDS)
  const versions = secrets === undefined ? new Map<number, string>() : parseSecrets(secrets)
  if (versions === undefined) throw new MisuseError('BETTER_AUTH_SECRETS must be 2:secret,1:secret.')
  if (secret === undefined && versions.size === 0) {
    throw new MisuseError('Set BETTER_AUTH_SECRET (or BETTER_AUTH_SECRETS) of that deployment.')
  }
  return await importCommand(io, config, options, () => openBetterAuth(from, () => askSourcePassword(io, password), {
    secrets: { plain: secret ?? null, versions }, digits: Number(digits), periodSeconds, now: new Date()
  }))
}
