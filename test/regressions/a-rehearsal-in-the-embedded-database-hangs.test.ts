/**
 * `countersign import … --dry-run` read the time beside its transaction, which holds the only connection of the embedded database: it
 * waited for itself, and ended with exit code 13 and without a report.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { command } from '../helpers/command.js'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { freshKeys } from '../helpers/settings.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const settings = { ...freshKeys(), DATA_DIR: await embeddedDataDir(t) }
const file = join(await temporaryFolder(t), 'people.jsonl')
t.setTimeout(300_000)

const USERS = 1200   // more than a page
const lineOf = (_: unknown, i: number) => `{"username":"user${i}","totp":[{"secret":{"text":"twenty bytes and ${i}"}}]}\n`
await writeFile(file, Array.from({ length: USERS }, lineOf).join(''))

t.test('a rehearsal in the embedded database reports what the import does then', async (t) => {
  t.equal((await command(['migrate', 'up'], settings)).code, 0)
  const reported = async (...args: string[]) => {
    const { code, stdout, stderr } = await command(['import', 'jsonl', file, '--json', ...args], settings)
    t.equal(stderr, '')
    return { code, users: JSON.parse(stdout).report.users }
  }
  const expected = { code: 0, users: { found: USERS, brought: USERS, alreadyHere: 0 } }
  t.match(await reported('--dry-run'), expected)
  t.match(await reported(), expected)
})
