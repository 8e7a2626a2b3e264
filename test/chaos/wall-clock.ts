import { access, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import type { Undo } from './stage.js'

/** From Debian's package libfaketime. */
const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'

/**
 * A wall clock for one process, with an offset in seconds that can change while the process runs. The monotonic clock stays
 * correct, as on a machine whose clock is set.
 */
export interface WallClock {
  settings: Record<string, string>
  set (offSeconds: number): Promise<void>
}

export async function wallClock (undo: Undo, offSeconds: number): Promise<WallClock> {
  await access(LIBRARY)
  const folder = await temporaryFolder({ teardown: undo })
  const file = join(folder, 'offset')
  const set = async (seconds: number) => {
    await writeFile(`${file}.new`, seconds < 0 ? String(seconds) : `+${seconds}`)
    await rename(`${file}.new`, file)
  }
  await set(offSeconds)
  return {
    set,
    settings: {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1'
    }
  }
}
