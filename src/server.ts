import { serve } from './commands/serve/serve.js'
import { readProcess } from './config/config.js'
import { ConfigError } from './core/config-error.js'
import { UnusableDatabaseError } from './postgres/unusable.js'
import { DataDirInUseError } from './postgres/embedded/lock.js'
import { NamespaceTakenError } from './redis/namespace-claim.js'
import { guardOutput } from './commands/output.js'

const PLAIN = [ConfigError, DataDirInUseError, UnusableDatabaseError, NamespaceTakenError]

guardOutput(process)
try {
  const { config, notes } = readProcess(process.env, process.cwd())
  await serve(config, notes, { isTerminal: process.stdout.isTTY })
} catch (error) {
  // A mistake that the operator can correct is one line; any other error is printed with its stack.
  console.error(PLAIN.some((kind) => error instanceof kind) ? (error as Error).message : error)
  process.exit(1)
}
