import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { bringOver, generateDjango } from '../helpers/django.js'
import { need } from '../helpers/need.js'

await need('postgres')

t.test('rows that the database refuses are named, and all others come; a rehearsal says the same', async (t) => {
  const { app, db } = await freshApp(t)
  const source = await freshDatabase(t)
  await generateDjango(source.url, 40)
  await source.query("update auth_user set date_joined = 'infinity' where id in (7, 8, 30)")
  await source.query('delete from account_userprofile where user_id in (7, 8, 30)')
  await source.query("update account_userprofile set updated_at = '20000-01-01' where user_id = 1")
  for (const isRehearsal of [true, false]) {
    const { report, notes } = await bringOver(app, source.url, { isRehearsal })
    t.match(report.users, { found: 40, brought: 36, leftOut: 4 })
    t.same(notes.map(({ kind, externalId }) => [kind, externalId]), [['user', '1'], ['user', '7'], ['user', '8'], ['user', '30']])
  }
  t.same(await db.query('select count(*)::int as n from account'), [{ n: 36 }])
  await source.query("update auth_user set date_joined = '2026-01-01' where id = 7")
  const { report } = await bringOver(app, source.url)
  t.match(report.users, { brought: 1, alreadyHere: 36, leftOut: 3 }, 'mended there, it comes with the next run')
})
