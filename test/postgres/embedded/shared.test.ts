import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Kysely, sql } from 'kysely'
import t from 'tap'
import { connectToHolder, takeLock, type Lock } from '../../../src/postgres/embedded/lock.js'
import { sendMessage } from '../../../src/postgres/embedded/messages.js'
import { openEmbedded } from '../../../src/postgres/embedded/pglite.js'
import { prepareDatabaseDir } from '../../../src/postgres/embedded/data-dir.js'
import { openShared, shareDatabase } from '../../../src/postgres/embedded/shared.js'
import type { Pool } from '../../../src/postgres/pool.js'
import { embeddedDataDir } from '../../helpers/embedded-data.js'
import { until } from '../../helpers/wait.js'

type Tables = { fact: { id: number, at: Date, seal: Buffer, big: string } }
const kyselyOf = ({ dialect }: Pool) => new Kysely<Tables>({ dialect })

const dataDir = await embeddedDataDir(t)
const lock: Lock = await takeLock(dataDir)
const own = await openEmbedded(await prepareDatabaseDir(dataDir))
const service = kyselyOf(own)
await sql`create table fact (id int primary key, at timestamptz, seal bytea, big bigint)`.execute(service)
const endSharing = shareDatabase(lock, own)
t.teardown(async () => {
  endSharing()
  await own.close()
  await lock.release()
})
const rowsOf = async (db: Kysely<Tables>) => await db.selectFrom('fact').selectAll().orderBy('id').execute()

t.test('only the owner reaches the socket', async (t) => {
  t.equal((await stat(join(dataDir, 'lock'))).mode & 0o077, 0)
})

t.test('another process reads and writes the same rows, of the same types', async (t) => {
  const shared = (await openShared(dataDir))!
  const command = kyselyOf(shared)
  await command.insertInto('fact').values({ id: 1, at: new Date(1000), seal: Buffer.from([0, 255]), big: '9007199254740993' }).execute()
  t.strictSame(await rowsOf(command), await rowsOf(service))
  const { numUpdatedRows } = await command.updateTable('fact').set({ big: '2' }).where('id', '=', 1).executeTakeFirstOrThrow()
  t.equal(numUpdatedRows, 1n)
  await t.rejects(command.insertInto('fact').values({ id: 1 } as never).execute(), { code: '23505', constraint: 'fact_pkey' })
  await shared.close()
})

t.test('a transaction is not mixed with the statements of the service', async (t) => {
  const shared = (await openShared(dataDir))!
  let seen: unknown[] = []
  let read: Promise<void> | undefined
  await t.rejects(kyselyOf(shared).transaction().execute(async (trx) => {
    await trx.deleteFrom('fact').execute()
    read = rowsOf(service).then((rows) => { seen = rows })
    throw new Error('rolled back')
  }))
  await read
  t.equal(seen.length, 1)
  await shared.close()
})

t.test('a command that dies in a transaction leaves no trace and blocks nothing', async (t) => {
  const socket = (await connectToHolder(dataDir))!
  let bytes = 0
  socket.on('data', (more: Buffer) => { bytes += more.length })
  const answered = async () => {
    const before = bytes
    await until('an answer', () => bytes > before)
  }
  await until('the greeting', () => bytes > 0)
  for (const message of [{ type: 'begin' }, ...['begin', 'delete from fact'].map((text) => ({ type: 'query', text, values: [] }))]) {
    sendMessage(socket, message)
    await answered()
  }
  socket.destroy()
  t.equal((await rowsOf(service)).length, 1)
})

t.test('fifty commands at once each get their turn', async (t) => {
  const all = await Promise.all(Array.from({ length: 50 }, () => openShared(dataDir)))
  await Promise.all(all.map(async (shared, i) => {
    await kyselyOf(shared!).insertInto('fact').values({ id: 100 + i, at: new Date(0), seal: Buffer.alloc(1), big: '1' }).execute()
    await shared!.close()
  }))
  t.equal((await rowsOf(service)).length, 51)
})

t.test('a lock that shares nothing, and a folder without a lock', async (t) => {
  const other = await embeddedDataDir(t)
  const held = await takeLock(other)
  t.equal(await openShared(other), undefined)
  await held.release()
  t.equal(await openShared(other), undefined)
})

t.test('a service that ends is an outage for the command', async (t) => {
  const shared = (await openShared(dataDir))!
  endSharing()
  await t.rejects(rowsOf(kyselyOf(shared)), { code: 'UNAVAILABLE' })
  await shared.close()
})
