import { randomBytes } from 'node:crypto'
import { link, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.js'
import { ConfigError } from '../core/config-error.js'
import { formatKey, parseRing, ringFault, ringsOverlap, type Key, type KeyKind } from '../core/keys/key-ring.js'
import { newKey } from '../core/keys/new-key.js'
import { codeOf, prepareDataDir, unless } from '../postgres/embedded/data-dir.js'

/** One file for each kind, so that a change of JWT_ALG and back finds the old keys. One line each, in the format of JWT_KEYS. */
const files = {
  HS256: 'jwt-hs256.key',
  EdDSA: 'jwt-eddsa.key',
  seal: 'seal.key'
} as const satisfies Record<KeyKind, string>

/** Only the owner may read and write. */
const PRIVATE = 0o600

/**
 * Returns the keys under DATA_DIR, made at first use. Processes that start at the same time get the same keys.
 * A damaged file is refused and never replaced: a new seal key cannot open earlier values.
 *
 * @throws {ConfigError} if a file is damaged, or cannot be made private
 */
export async function loadOrCreateKeys (dataDir: string, alg: Exclude<KeyKind, 'seal'>): Promise<{ jwtKeys: Key[], sealKeys: Key[] }> {
  const jwtKeys = await loadOrCreateRing(dataDir, alg)
  const sealKeys = await loadOrCreateRing(dataDir, 'seal')
  if (ringsOverlap(jwtKeys, alg, sealKeys)) throw new ConfigError('DATA_DIR', `hold different keys in ${files[alg]} and ${files.seal}`)
  return { jwtKeys, sealKeys }
}

/** Returns the configured keys, or the keys under DATA_DIR, which the first start makes. */
export async function ringsOf (
  { jwtKeys, sealKeys, jwtAlg, dataDir }: Config
): Promise<{ jwtKeys: readonly Key[], sealKeys: readonly Key[] }> {
  if (jwtKeys !== undefined && sealKeys !== undefined) return { jwtKeys, sealKeys }
  await prepareDataDir(dataDir)
  const made = await loadOrCreateKeys(dataDir, jwtAlg)
  return { jwtKeys: jwtKeys ?? made.jwtKeys, sealKeys: sealKeys ?? made.sealKeys }
}

/** Returns the sealing keys, configured or under DATA_DIR; undefined if there are none. Makes none. */
export async function sealKeysOf ({ sealKeys, dataDir }: Config): Promise<readonly Key[] | undefined> {
  return sealKeys ?? await loadRing(dataDir, 'seal')
}

async function loadOrCreateRing (dataDir: string, kind: KeyKind): Promise<Key[]> {
  return await loadRing(dataDir, kind) ?? await createRing(dataDir, kind)
}

/** Returns undefined if there is no such file yet. */
async function loadRing (dataDir: string, kind: KeyKind): Promise<Key[] | undefined> {
  const file = await openIfThere(join(dataDir, files[kind]))
  if (!file) return undefined
  try {
    await makePrivate(file, files[kind])
    const ring = parseRing((await file.readFile('utf8')).trim())
    const fault = ring ? ringFault(ring, kind) : 'hold kid:base64url'
    if (!ring || fault) throw new ConfigError('DATA_DIR', `have an intact ${files[kind]}, restored from a backup; that file must ${fault}`)
    return ring
  } finally {
    await file.close()
  }
}

async function openIfThere (path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return undefined
  }
}

/** Removes the access of other users: restored backups and copied folders often have looser modes. */
async function makePrivate (file: FileHandle, name: string): Promise<void> {
  const { mode } = await file.stat()
  if ((mode & 0o077) === 0) return
  await file.chmod(PRIVATE).catch((error) => {
    throw new ConfigError('DATA_DIR', `have a ${name} that its owner alone may read (${codeOf(error)})`)
  })
}

/** Writes a draft in full, then links it to its name: a rename would replace the keys of another process that was first. */
async function createRing (dataDir: string, kind: KeyKind): Promise<Key[]> {
  const draft = join(dataDir, `${files[kind]}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await writeDurably(draft, `${formatKey(newKey(kind))}\n`)
    await link(draft, join(dataDir, files[kind])).catch(unless('EEXIST'))
  } finally {
    await rm(draft, { force: true })
  }
  await syncFolder(dataDir)
  return await loadRing(dataDir, kind) ?? await createRing(dataDir, kind)
}

async function writeDurably (path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', PRIVATE)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the new name survive a power cut. Windows cannot open a folder and does not need this. */
async function syncFolder (path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
