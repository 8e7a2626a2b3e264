import t from 'tap'
import { undoImport } from '../../src/imports/undo.js'
import { freshApp } from '../helpers/app.js'
import { bringOver, djangoDump, people } from '../helpers/django.js'
import { importLines, mover } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'

await need('postgres')

const { app, db } = await freshApp(t)
const dump = await djangoDump(t)
const rows = async () => await Promise.all(['account', 'otp_user', 'otp_device', 'otp_totp', 'otp_recovery_code', 'account_import'].map(
  async (table) => (await db.query<{ n: number }>(`select count(*)::int as n from ${table}`))[0]!.n))

t.test('an import is taken back by its source while nobody has logged in, and can come again', async (t) => {
  await signUp(app, 'ada')
  await importLines(app, [{ username: 'other', totp: [{ secret: { text: 'twenty bytes of text' } }] }])
  const before = await rows()
  await bringOver(app, dump.url)
  t.same(await undoImport(app.database, 'django', 400), { deleted: 14 })
  t.same(await rows(), before, 'nothing of it is left, and nothing else is gone')
  const { report } = await bringOver(app, dump.url)
  t.match(report.users, { brought: 14, alreadyHere: 0 })
  const person = people.find(({ active, password }) => active && password !== null)!
  t.equal((await mover(app, person.username, 'wrong').login()).statusCode, 401)
  expect(200, await mover(app, person.username, person.password!).login())
  const used = await rows()
  t.same(await undoImport(app.database, 'django', 400), { used: 1 })
  t.same(await rows(), used)
  t.same(await undoImport(app.database, 'nothing', 400), { deleted: 0 })
})

t.test('an import from before the events that are kept stays: nothing shows any more who has logged in', async (t) => {
  await importLines(app, [{ username: 'early', totp: [{ secret: { text: 'twenty bytes of text' } }] }])
  const [source] = await db.query<{ source: string }>("select source from account_import where source <> 'django'")
  await db.clock.advance(7 * 86_400)
  t.hasProp(await undoImport(app.database, source!.source, 6), 'used')
  t.hasProp(await undoImport(app.database, source!.source, 8), 'deleted')
})
