import pg from 'pg'
import t from 'tap'
import { need } from './need.js'
import { targetOf, tcpProxy } from './tcp-proxy.js'

const url = await need('postgres')

t.test('it counts what Postgres is asked', async (t) => {
  const proxy = await tcpProxy(t, targetOf(url))
  const client = new pg.Client({ connectionString: proxy.url(url) })
  await client.connect()
  t.equal(proxy.postgresMessages['startup'], 1)
  proxy.resetCounts()
  await client.query('select 1')
  await client.query('select $1::text', ['x'.repeat(100_000)])
  t.match(proxy.postgresMessages, { Q: 1, P: 1, B: 1, E: 1, S: 1 })
  await client.end()
})
