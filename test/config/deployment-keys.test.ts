import { createPrivateKey } from 'node:crypto'
import files, { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readConfig } from '../../src/config/config.js'
import { ConfigError } from '../../src/core/config-error.js'
import { loadOrCreateKeys } from '../../src/config/deployment-keys.js'
import { newKey } from '../../src/core/keys/new-key.js'
import { ringFault } from '../../src/core/keys/key-ring.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

t.test('new keys are sound, and each another', async (t) => {
  for (const kind of ['HS256', 'EdDSA', 'seal'] as const) {
    const ring = Array.from({ length: 20 }, () => newKey(kind))
    t.equal(ringFault(ring, kind), undefined, kind)
    t.ok(ring.every((key) => /^[A-Za-z0-9_-]{8}$/.test(key.kid)))
  }
  t.equal(newKey('HS256').bytes.length, 32)
  t.equal(createPrivateKey({ key: newKey('EdDSA').bytes, format: 'der', type: 'pkcs8' }).asymmetricKeyType, 'ed25519')
})

t.test('made once, kept for ever, for the owner alone', async (t) => {   // J9
  const folder = await temporaryFolder(t)
  const first = await loadOrCreateKeys(folder, 'HS256')
  t.strictSame(await loadOrCreateKeys(folder, 'HS256'), first)
  t.strictSame((await readdir(folder)).toSorted(), ['jwt-hs256.key', 'seal.key'], 'and no drafts')
  for (const file of await readdir(folder)) t.equal(await mode(join(folder, file)), '600', file)
})

t.test('switching JWT_ALG and back finds the old keys, and one seal key', async (t) => {
  const folder = await temporaryFolder(t)
  const hs256 = await loadOrCreateKeys(folder, 'HS256')
  const eddsa = await loadOrCreateKeys(folder, 'EdDSA')
  t.strictSame(eddsa.sealKeys, hs256.sealKeys)
  t.notSame(eddsa.jwtKeys, hs256.jwtKeys)
  t.strictSame(await loadOrCreateKeys(folder, 'HS256'), hs256)
  t.strictSame(await loadOrCreateKeys(folder, 'EdDSA'), eddsa)
})

t.test('twenty starts at once end with one set', async (t) => {
  const folder = await temporaryFolder(t)
  const sets = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateKeys(folder, 'EdDSA')))
  for (const set of sets) t.strictSame(set, sets[0])
  t.equal((await readdir(folder)).length, 2, 'no drafts stay')
})

/** Runs `meanwhile` once, just before a draft is written. */
function beforeNextDraft (t: Test, meanwhile: () => Promise<void>): void {
  const openOfNode = files.open
  const restore = () => {
    files.open = openOfNode
    syncBuiltinESMExports()
  }
  t.teardown(restore)
  files.open = async (path, ...rest) => {
    if (String(path).endsWith('.tmp')) {
      restore()
      await meanwhile()
    }
    return await openOfNode(path, ...rest)
  }
  syncBuiltinESMExports()
}

t.test('whoever comes second takes the keys of the first', async (t) => {
  const folder = await temporaryFolder(t)
  let first: Awaited<ReturnType<typeof loadOrCreateKeys>> | undefined
  beforeNextDraft(t, async () => { first = await loadOrCreateKeys(folder, 'HS256') })
  const second = await loadOrCreateKeys(folder, 'HS256')
  t.ok(first)
  t.strictSame(second, first)
  t.strictSame(await loadOrCreateKeys(folder, 'HS256'), first)
})

t.test('the files can be moved into JWT_KEYS and SEAL_KEYS as they are', async (t) => {
  const folder = await temporaryFolder(t)
  const keys = await loadOrCreateKeys(folder, 'EdDSA')
  const [JWT_KEYS, SEAL_KEYS] = await Promise.all(['jwt-eddsa.key', 'seal.key'].map((file) => readFile(join(folder, file), 'utf8')))
  const config = readConfig({ JWT_ALG: 'EdDSA', JWT_KEYS, SEAL_KEYS })
  t.strictSame({ jwtKeys: config.jwtKeys, sealKeys: config.sealKeys }, keys)
})

t.test('a second key put in front by hand signs, and the old one still verifies', async (t) => {   // J9
  const folder = await temporaryFolder(t)
  const { jwtKeys: [old] } = await loadOrCreateKeys(folder, 'HS256')
  const path = join(folder, 'jwt-hs256.key')
  const added = newKey('HS256')
  await writeFile(path, `${added.kid}:${added.bytes.toString('base64url')},${await readFile(path, 'utf8')}`)
  t.strictSame((await loadOrCreateKeys(folder, 'HS256')).jwtKeys, [added, old])
})

t.test('a file that others may read is closed to them', async (t) => {
  const folder = await temporaryFolder(t)
  await loadOrCreateKeys(folder, 'HS256')
  await chmod(join(folder, 'seal.key'), 0o644)
  await loadOrCreateKeys(folder, 'HS256')
  t.equal(await mode(join(folder, 'seal.key')), '600')
})

t.test('a damaged file is refused by name, never printed, never replaced', async (t) => {
  const folder = await temporaryFolder(t)
  await loadOrCreateKeys(folder, 'HS256')
  const path = join(folder, 'seal.key')
  const whole = await readFile(path, 'utf8')
  const constant = `a:${Buffer.alloc(32).toString('base64url')}`
  for (const damaged of ['', '\n', whole.slice(0, 30), whole.replace(':', ''), constant, `${whole.trim()},${whole}`]) {
    await writeFile(path, damaged)
    const error: Error = await loadOrCreateKeys(folder, 'HS256').then(() => t.fail('taken'), (error) => error)
    t.type(error, ConfigError)
    t.match(error.message, /^DATA_DIR must have an intact seal\.key[^\n]*\.$/)
    t.notMatch(error.message, whole.slice(9, 20))
    t.equal(await readFile(path, 'utf8'), damaged)
  }
})

t.test('one key for both uses is refused', async (t) => {   // J9
  const folder = await temporaryFolder(t)
  await loadOrCreateKeys(folder, 'HS256')
  await writeFile(join(folder, 'seal.key'), await readFile(join(folder, 'jwt-hs256.key')))
  await t.rejects(loadOrCreateKeys(folder, 'HS256'), ConfigError)
})
