import type { Config } from '../../config/config.js'
import { openSupabase, parseKeys } from '../../imports/supabase/source.js'
import { askSourcePassword, importCommand, requireAddress, type FromOptions } from './import.js'
import { MisuseError, type Io } from '../io.js'

export interface SupabaseCommandOptions extends FromOptions {
  /** SUPABASE_DB_ENCRYPTION_KEY. */
  key: string | undefined
}

export async function importSupabaseCommand (
  io: Io, config: Config, { from, password, key, ...options }: SupabaseCommandOptions
): Promise<number> {
  requireAddress(from)
  const keys = key === undefined ? new Map<string, Buffer>() : parseKeys(key)
  if (keys === undefined) throw new MisuseError('SUPABASE_DB_ENCRYPTION_KEY must be 32 bytes in base64url, or id:key,id:key.')
  return await importCommand(io, config, options, () =>
    openSupabase(from, () => askSourcePassword(io, password), { keys, now: new Date() }))
}
