import { open } from 'node:fs/promises'
import { CommandError } from '../io.js'

const KEY = /^[A-Za-z0-9_-]{43}$/
/** Bits of a mode by which the group and others can read or write. */
const OF_OTHERS = 0o077

/**
 * Reads the key of a sealed moving file: 32 bytes in base64url.
 *
 * @throws {CommandError} if it is none, or other users of the machine can read it
 */
export async function readKeyFile (path: string): Promise<Buffer> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`--key-file cannot be read: ${error.code ?? 'unknown fault'}.`)
  })
  try {
    if (process.platform !== 'win32' && ((await file.stat()).mode & OF_OTHERS) !== 0) {
      throw new CommandError('--key-file can be read by others: make it yours alone, by chmod 600.')
    }
    const text = (await file.readFile('utf8')).trim()
    if (!KEY.test(text)) {
      throw new CommandError('--key-file must hold 32 bytes in base64url, such as "countersign keys new seal" makes after the colon.')
    }
    return Buffer.from(text, 'base64url')
  } finally {
    await file.close()
  }
}
