import Fastify from 'fastify'
import t from 'tap'
import metrics from '../../plugins/metrics.js'
import { freshApp } from '../helpers/app.js'

t.test('requests by method, route and status; what a client chose is never a label', async (t) => {
  const app = Fastify()
  await app.register(metrics)
  app.get('/things/:id', async () => 'x')
  for (const url of ['/things/ada', '/things/hunter2', '/hunter3', '/things/x?password=hunter4']) await app.inject(url)
  await app.inject({ method: 'POST', url: '/things/ada' })
  const { type, text } = await app.metrics.text()
  t.match(type, /^text\/plain/)
  t.match(text, /countersign_requests_total\{method="GET",route="\/things\/:id",status="200"\} 3/)
  t.match(text, /countersign_requests_total\{method="GET",route="\(none\)",status="404"\} 1/)
  t.notMatch(text, /hunter|ada/)
  t.equal((await app.metrics.text()).text.match(/\} 3\n/g)?.length, 1, 'scraped twice, counted once')
  await app.close()
})

t.test('a service says what it knows of itself, under names that stay', async (t) => {
  const { app } = await freshApp(t)
  await app.inject({ url: '/account' })
  const answer = await app.inject('/metrics')
  t.equal(answer.statusCode, 200)
  for (const name of ['feed_age_seconds', 'sessions_remembered', 'session_reads_memo_total', 'session_reads_redis_total', 'session_reads_postgres_total', 'hashes_waiting', 'pool_waiting', 'redis_up', 'requests_total']) {
    t.match(answer.body, new RegExp(`^countersign_${name}[ {]`, 'm'), name)
  }
  for (const line of answer.body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) t.match(line, /^[a-z0-9_:]+(\{.*\})? -?[0-9.e+NaIinf-]+$/i)
})
