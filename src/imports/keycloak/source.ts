import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PAGE_BYTES, PAGE_USERS, SourceError, type Entry, type Source } from '../person.js'
import { translate, type KeycloakUser } from './translate.js'
import { usersOf, type UserText } from './users.js'

/** Files of a directory export that have users: `realm-users-0.json` and so on. */
const OF_USERS = /-users-(\d+)\.json$/

/**
 * Opens the export of a realm: one JSON file, or the directory form with files of users.
 *
 * @throws {SourceError} if it cannot be read, or has no list of users
 */
export async function openKeycloak ({ file, dir }: { file?: string | undefined, dir?: string | undefined }): Promise<Source> {
  const files = dir === undefined ? [file!] : await filesOf(dir)
  const sizes = await Promise.all(files.map(async (path) => (await stat(path).catch((error: unknown) => { throw unreadable(error) })).size))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  return {
    name: 'keycloak',
    async * pages (since) {
      let [before, entries, bytes, found] = [0, [] as Entry[], 0, 0]
      for (const [i, path] of files.entries()) {
        let done = before
        for await (const text of usersOf(chunksOf(path))) {
          found++
          done = before + text.endsAt
          entries.push(...entryOf(text, since))
          bytes += text.bytes?.length ?? 0
          if (entries.length < PAGE_USERS && bytes < PAGE_BYTES) continue
          yield { entries, done, total }
          ;[entries, bytes] = [[], 0]
        }
        before += sizes[i]!
      }
      if (found === 0) throw new SourceError('The export has no users: export the realm with its users, or give the folder by --dir.')
      yield { entries, done: total, total }
    },
    close: async () => {}
  }
}

async function filesOf (dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((error: unknown) => { throw unreadable(error) })
  const found = names.filter((name) => OF_USERS.test(name) && !name.includes('-federated-users-'))
    .sort((a, b) => Number(OF_USERS.exec(a)![1]) - Number(OF_USERS.exec(b)![1]))
  if (found.length === 0) throw new SourceError('The folder has no file such as realm-users-0.json.')
  return found.map((name) => join(dir, name))
}

async function * chunksOf (path: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Buffer
  } catch (error) {
    throw unreadable(error)
  }
}

const unreadable = (error: unknown) =>
  new SourceError(`The export cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown fault'}`)

function entryOf ({ number, bytes }: UserText, since: Date | null): Entry[] {
  const note = (reason: string): Entry[] => [{ note: { kind: 'user', externalId: null, line: number, username: '', reason } }]
  if (bytes === null) return note('the user is longer than 1 MiB')
  let user: KeycloakUser
  try {
    user = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as KeycloakUser
  } catch {
    return note('the user is not JSON in UTF-8')
  }
  // A service account is the identity of a program.
  if (typeof user.serviceAccountClientId === 'string') return []
  if (typeof user.username !== 'string') return note('the user has no name')
  if (since !== null && (user.createdTimestamp ?? 0) < since.getTime()) return []
  return [{ person: translate(user) }]
}
