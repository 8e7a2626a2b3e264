import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kysely, sql } from 'kysely'
import t from 'tap'
import { openEmbedded } from '../../../src/postgres/embedded/pglite.js'
import { unpackTemplate } from '../../../src/postgres/embedded/template.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

/** Files of a folder by name, in order. */
async function filesOf (folder: string): Promise<Map<string, Buffer>> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const names = entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
}

const CONTROL = 'global/pg_control'
const LOG = 'pg_wal/000000010000000000000001'

t.test('two new folders differ in the random values of initdb, and in nothing else', async (t) => {
  const folders = [await temporaryFolder(t), await temporaryFolder(t)]
  for (const folder of folders) await unpackTemplate(folder)
  const [one, other] = await Promise.all(folders.map(filesOf)) as [Map<string, Buffer>, Map<string, Buffer>]
  t.ok(one.size > 900, `${one.size} files`)
  t.strictSame([...one.keys()], [...other.keys()])
  t.strictSame([...one].filter(([name, content]) => !content.equals(other.get(name)!)).map(([name]) => name), [CONTROL, LOG])
  const identifier = (files: Map<string, Buffer>) => files.get(CONTROL)!.readBigUInt64LE(0)
  t.not(identifier(one), identifier(other))
  t.equal(one.get(LOG)!.readBigUInt64LE(24), identifier(one), 'the write-ahead log belongs to the same system')
  const changed = (content: Buffer, from: Buffer) => content.filter((byte, at) => byte !== from[at]).length
  t.ok(changed(one.get(CONTROL)!, other.get(CONTROL)!) > 30, 'the salt of unknown users is another one, too')
  t.ok(changed(one.get(LOG)!, other.get(LOG)!) <= 8)
})

t.test('PostgreSQL starts on it, and nothing of ours is in it', async (t) => {
  const folder = await temporaryFolder(t)
  const pool = await openEmbedded(folder)
  t.teardown(() => pool.close())
  const { rows } = await sql<{ tables: number, identifier: string }>`
    select (select count(*)::int from pg_class where relnamespace not in
        (select oid from pg_namespace where nspname in ('pg_catalog', 'information_schema', 'pg_toast'))) as tables,
      (select system_identifier::text from pg_control_system()) as identifier`.execute(new Kysely({ dialect: pool.dialect }))
  const control = await readFile(join(folder, CONTROL))
  t.strictSame(rows, [{ tables: 0, identifier: String(control.readBigInt64LE(0)) }])
})

t.test('a database in memory leaves no folder', async (t) => {
  const before = process.cwd()
  const folder = await temporaryFolder(t)
  process.chdir(folder)
  t.teardown(() => { process.chdir(before) })
  const pool = await openEmbedded('memory://')
  await pool.close()
  t.strictSame(await readdir(folder), [])
})
