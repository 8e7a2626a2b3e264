import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshApp } from './app.js'
import { need } from './need.js'

await need('postgres')

t.test('a replica follows the test clock until it is closed', async (t) => {
  const { app, clock, another } = await freshApp(t)
  const replica = await another()
  const ahead = () => [app, replica].map((one) => Math.round((insideOf(one).sessions.nowSeconds() - Date.now() / 1000) / 60))
  await clock.advance(600)
  t.same(ahead(), [10, 10])
  await replica.close()
  await clock.advance(600)
  t.same(ahead(), [20, 10])
})
