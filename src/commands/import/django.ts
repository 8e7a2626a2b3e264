import type { Config } from '../../config/config.js'
import { openDjango } from '../../imports/django/source.js'
import { askSourcePassword, importCommand, requireAddress, type FromOptions } from './import.js'
import type { Io } from '../io.js'

export async function importDjangoCommand (io: Io, config: Config, { from, password, ...options }: FromOptions): Promise<number> {
  requireAddress(from)
  return await importCommand(io, config, options, ({ otpWindow }) =>
    openDjango(from, () => askSourcePassword(io, password), otpWindow))
}
