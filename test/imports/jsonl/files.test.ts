import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { openJsonl } from '../../../src/imports/jsonl/source.js'
import { freshApp } from '../../helpers/app.js'
import { importInto } from '../../helpers/imports.js'
import { importLines } from '../../helpers/moving.js'
import { need } from '../../helpers/need.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

await need('postgres')

const { app, db } = await freshApp(t)
const accounts = async () => (await db.query<{ n: number }>('select count(*)::int as n from account'))[0]!.n

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
/** Returns the memory that is in use, on and off the heap. That of the process depends on when the engine collects garbage. */
async function usedBytes (): Promise<number> {
  collectGarbage()
  // Node 26 frees the memory of buffers beside the collection; the next one waits for that.
  await immediate()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

t.test('hostile lines are named by number, and the others come', async (t) => {
  const lines: Array<object | string> = [
    { format: 'countersign-moving', version: 1 }, '', { username: 'one' }, '   \r', 'not json', '{"username":"two"}\r',
    '[1]', 'null', '"x"',
    { username: 'three', unknown: 1 }, '{"username":"proto","__proto__":{"isStaff":true}}', { username: 'typed', isStaff: 'true' },
    { username: 'ONE' }, { username: 'One', externalId: 'other' }, { email: '' }, { format: 'countersign-moving', version: 1 },
    { username: 'four', totp: [{ secret: { hex: '00', text: 'x' } }] }, { username: 'bad\u0000' }, { email: 'mail@example.org' },
    { username: 'five', createdAt: 'yesterday' }, `${'['.repeat(50_000)}`
  ]
  const { report, notes } = await importLines(app, lines)
  t.same(notes.map(({ line }) => line!).sort((a, b) => a - b), [5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21])
  t.match(report.users, { brought: 3, leftOut: 15 })
  t.same((await db.query<{ username: string }>('select username from account order by 1')).map(({ username }) => username),
    ['mail@example.org', 'one', 'two'])
})

t.test('a line of 100 MB, and bytes that are not UTF-8, cost no memory and nobody else', async (t) => {
  const before = await accounts()
  let held = 0
  async function * chunks (): AsyncGenerator<Buffer> {
    yield Buffer.from('{"username":"first"}\n{"username":"')
    const beforeLine = await usedBytes()
    for (let i = 0; i < 100; i++) yield Buffer.alloc(1024 * 1024, 'x')
    held = await usedBytes() - beforeLine
    yield Buffer.from('"}\n{"username":"')
    yield Buffer.from([0xff, 0xfe])
    yield Buffer.from('"}\n{"username":"last"}')
  }
  const { report, notes } = await importInto(app, await openJsonl('-', null, Readable.from(chunks())))
  t.ok(held < 32 * 1024 * 1024, `${held} bytes are held at the end of the line`)
  t.match(report.users, { brought: 2, leftOut: 2 })
  t.match(notes, [{ line: 2, reason: /1 MiB/ }, { line: 3, reason: /UTF-8/ }])
  t.equal(await accounts(), before + 2)
})

t.test('run again it changes nothing and says nothing', async (t) => {
  const lines = [{ username: 'again', totp: [{ secret: { text: 'twenty bytes of text' } }] }, { username: 'again2' }]
  await importLines(app, lines)
  const state = async () => JSON.stringify(await db.query('select * from otp_totp order by 1, 2'))
  const before = await state()
  const { report, notes } = await importLines(app, lines)
  t.match(report.users, { brought: 0, alreadyHere: 2, changedThereSince: 0 })
  t.same(notes, [])
  t.equal(await state(), before)
})

t.test('a file of another format, a sealed one without its key, and none are refused', async (t) => {
  const folder = await temporaryFolder(t)
  const importing = async (text: string, key: Buffer | null = null) => {
    await writeFile(join(folder, 'file'), text)
    return await importInto(app, await openJsonl(join(folder, 'file'), key, Readable.from([])))
  }
  for (const header of ['{"format":"countersign-moving","version":2}', '{"format":"other","version":1}']) {
    await t.rejects(importing(`${header}\n{"username":"never"}`), { name: 'SourceError' })
  }
  const sealed = JSON.stringify({ format: 'countersign-moving', version: 1, sealed: 'A'.repeat(43) })
  await t.rejects(importing(sealed), { name: 'SourceError' })
  await t.rejects(importing('{"username":"never"}', Buffer.alloc(32)), { name: 'SourceError' })
  await t.rejects(openJsonl(join(folder, 'missing'), null, Readable.from([])), { name: 'SourceError' })
  t.same(await db.query("select 1 from account where username = 'never'"), [])
})
