import { describeError } from '../log.js'
import { lineOf } from '../postgres/unusable.js'
import { asciiJson, createIo, printable, type Io } from './io.js'

const FAILED = 1
/** Exit code for unknown commands and wrong arguments; the program did nothing. */
export const MISUSED = 2

/** Names of errors that an operator can fix. Names, because most of the modules need not be loaded. */
const PLAIN = [
  'CommandError', 'ConfigError', 'DataDirInUseError', 'ExitPromptError', 'MisuseError', 'NamespaceTakenError', 'Refusal',
  'SealedElsewhereError', 'SourceError', 'UnusableDatabaseError'
]

/** Arguments of a command, as the shell gave them. */
export interface Given {
  /** Positional arguments. */
  args: string[]
  /** Options by name in camelCase. */
  options: object
  /** True for answers in JSON. */
  json: boolean
}

/** Work of a command. Returns the exit code; undefined means 0. */
export type Work = (io: Io, args: string[], options: never) => Promise<number | void> | number | void

/**
 * Runs a command on the streams of the process. An error that an operator can fix is printed in one line, any other with its stack.
 *
 * @param name of the command, for errors in JSON
 * @returns the exit code
 */
export async function runWork (name: string, work: Work, { args, options, json }: Given): Promise<number> {
  const io = createIo(json, process)
  try {
    return await work(io, args, options as never) ?? 0
  } catch (error) {
    const { type } = describeError(error)
    const plain = PLAIN.includes(type) || (error as { code?: string }).code === 'EADDRINUSE'
    const text = error instanceof Error ? lineOf(error) : String(error)
    // Part of the text may come from a server of another owner.
    if (json) console.error(asciiJson({ error: { command: name, message: text } }))
    else console.error(plain ? printable(text) : stackOf(error))
    return type === 'MisuseError' ? MISUSED : FAILED
  } finally {
    io.close()
  }
}

/** Returns the stack of an error without the fields that drivers add: rows and parameters, password hashes included. */
function stackOf (error: unknown): string {
  const { stack, cause } = describeError(error)
  return cause === undefined ? stack : `${stack}\ncaused by ${cause.stack}`
}
