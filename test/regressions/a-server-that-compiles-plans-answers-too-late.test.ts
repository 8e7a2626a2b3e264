import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'

/*
 * PostgreSQL compiles a plan (`jit`) whose estimated cost is high: by the settings of the server, or because statistics are old. For
 * our longest statements that took longer than their time limit, so each log-in was answered 503. Here it compiles every plan.
 */

await need('postgres')
const db = await freshDatabase(t)
const name = new URL(db.url).pathname.slice(1)
for (const setting of ['jit_above_cost', 'jit_inline_above_cost', 'jit_optimize_above_cost']) {
  await db.query(`alter database ${name} set ${setting} = 0`)
}

t.test('O3 a log-in, a code and a refresh are answered where the server compiles plans', async (t) => {
  const { app } = await freshApp(t, {}, { db })
  const ada = await signUp(app, 'ada')
  await ada.enrol()
  const again = ada.elsewhere()
  expect(200, await again.login())
  expect(200, await again.verify())
  expect(200, await again.refreshTokens())
  expect(200, await again.request('GET', '/session'))
  const jit = app.database.kysely.selectNoFrom((eb) => eb.fn<string>('current_setting', [eb.val('jit')]).as('jit'))
  t.same(await jit.execute(), [{ jit: 'off' }])
})
