import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Owner } from './teardown.js'

/** An empty folder that goes at the end, with all that is in it by then. */
export async function temporaryFolder (t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-test-'))
  // A process that was killed a moment ago may still be writing there.
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}
