import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Owner } from './teardown.js'

/** Creates an empty folder that is removed at the end, with its content. */
export async function temporaryFolder (t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-test-'))
  // A killed process can still write to it for a moment.
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}
