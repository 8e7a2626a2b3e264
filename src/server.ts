import { serve } from './commands/serve.js'
import { readProcess } from './config/config.js'
import { ConfigError } from './core/config-error.js'
import { UnusableDatabaseError } from './postgres/unusable.js'
import { DataDirInUseError } from './postgres/embedded/lock.js'
import { guardOutput } from './commands/output.js'

const PLAIN = [ConfigError, DataDirInUseError, UnusableDatabaseError]

guardOutput(process)
try {
  const { config, notes } = readProcess(process.env, process.cwd())
  await serve(config, notes)
} catch (error) {
  // What the operator can mend is one line; anything else shows where it came from.
  console.error(PLAIN.some((kind) => error instanceof kind) ? (error as Error).message : error)
  process.exit(1)
}
