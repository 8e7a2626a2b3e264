import { serve } from './commands/serve.js'
import { ConfigError, readProcess } from './config.js'
import { DataDirInUseError } from './embedded/lock.js'

try {
  const { config, notes } = readProcess(process.env, process.cwd())
  await serve(config, notes)
} catch (error) {
  // What the operator can mend is one line; anything else shows where it came from.
  console.error(error instanceof ConfigError || error instanceof DataDirInUseError ? error.message : error)
  process.exit(1)
}
