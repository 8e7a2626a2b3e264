import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'
import t from 'tap'
import metrics from '../../plugins/metrics.js'
import { definedCounters, type CounterName } from '../../src/core/counters.js'
import { freshApp, type App } from '../helpers/app.js'
import { totp } from '../helpers/authenticator.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/** Metrics of the service as a scraper reads them: values by name and labels, without the common prefix. */
async function scrape (app: App): Promise<Record<string, number>> {
  const { body } = await app.inject('/metrics')
  return Object.fromEntries([...body.matchAll(/^countersign_(\S+) (\S+)$/gm)].map(([, series = '', value]) => [series, Number(value)]))
}

/** Returns different well-formed codes that fit no step of the window. */
async function wrongCodes (person: Person, count: number): Promise<string[]> {
  const near = await Promise.all([-2, -1, 0, 1, 2].map((offset) => person.code(offset)))
  return Array.from({ length: count + near.length }, (_, i) => String(i * 111_111 % 1_000_000).padStart(6, '0'))
    .filter((code) => !near.includes(code)).slice(0, count)
}

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
  t.match((await app.metrics.text()).text, /route="\/things\/:id",status="200"\} 3\n/, 'scraped twice, counted once')
  await app.close()
})

t.test('the lag of the event loop is that of a request, without the interval of its samples', async (t) => {
  const app = Fastify()
  await app.register(metrics)
  t.teardown(() => app.close())
  const lag = async (part: string) => {
    const { text } = await app.metrics.text()
    return Number(new RegExp(`^nodejs_eventloop_lag_${part}_seconds (.+)$`, 'm').exec(text)?.[1])
  }
  const sleeping = new Int32Array(new SharedArrayBuffer(4))
  await until('a sample of a loop that stands still', async () => {
    Atomics.wait(sleeping, 0, 0, 600)
    return await lag('max') > 0.2
  })
  await until('a sample of one that runs', async () => await lag('min') < 0.1 && await lag('p99') < 0.2)
})

t.test('what people do is counted by kind and reason', async (t) => {
  const { app, db, clock } = await freshApp(t)
  await clock.freeze()
  const ada = await (await signUp(app, 'ada')).enrol()
  const used = totp(ada.phone.secret!, ada.phone.lastStep)
  expect(200, await ada.refreshTokens())
  expect(401, await ada.elsewhere().login('not the password'))

  const thief = ada.elsewhere()
  expect(200, await thief.login())
  expect(400, await thief.verify('letters'))
  expect(400, await thief.verify(used))
  for (const code of await wrongCodes(ada, 4)) expect(400, await thief.verify(code))
  expect(429, await thief.verify('000000'))
  t.match(await scrape(app), {
    'passwords_total{outcome="accepted"}': 2,
    'passwords_total{outcome="refused"}': 1,
    'codes_total{kind="totp",outcome="accepted"}': 1,
    'codes_total{kind="totp",outcome="malformed"}': 1,
    'codes_total{kind="totp",outcome="replayed"}': 1,
    'codes_total{kind="totp",outcome="refused"}': 4,
    'codes_total{kind="totp",outcome="locked"}': 1,
    locks_total: 1,
    'refreshes_total{outcome="rotated"}': 1,
    'sessions_started_total{by="enabled"}': 1,
    'sessions_ended_total{reason="enabled"}': 1
  })

  const elsewhere = ada.elsewhere()
  expect(200, await elsewhere.login())
  expect(400, await elsewhere.recover('0'.repeat(24)))
  expect(200, await elsewhere.recover(ada.recoveryCodes[0]))
  // Ends the session that recovered; the thief's sessions ended with the code.
  expect(201, await ada.request('POST', '/totp/recovery_code/create'))
  const [last = '', ...wrong] = await wrongCodes(ada, 5)
  for (const code of wrong) expect(400, await ada.verify(code))
  expect(401, await ada.verify(last))
  const leaving = ada.elsewhere()
  expect(200, await leaving.login())
  expect(204, await leaving.request('POST', '/token/revoke'))
  t.match(await scrape(app), {
    'codes_total{kind="recovery",outcome="refused"}': 1,
    'codes_total{kind="recovery",outcome="accepted"}': 1,
    'recovery_codes_left_total{left="4"}': 1,
    'sessions_started_total{by="password"}': 4,
    'sessions_started_total{by="recovered"}': 1,
    'sessions_ended_total{reason="recovered"}': 2,
    'sessions_ended_total{reason="codes_replaced"}': 1,
    'sessions_ended_total{reason="spent"}': 1,
    'sessions_ended_total{reason="logged_out"}': 1,
    locks_total: 1
  })

  // E3, and no label has a user.
  const { body } = await app.inject('/metrics')
  for (const [id] of [['ada'], ...(await db.query(
    'select user_id from otp_user union select id from otp_session union select id::text from otp_device'
  )).map(Object.values)]) {
    t.notMatch(body, String(id))
  }
})

t.test('the document for operators names every metric of ours, its kind and its labels', async (t) => {
  const { app } = await freshApp(t)
  await app.inject('/livez')
  const { body } = await app.inject('/metrics')
  const samples = new Map([...body.matchAll(/^(countersign_\w+)\{(.*)\} /gm)].map(
    ([, name = '', labels = '']) => [name, [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label)]
  ))
  const today = new Map([...body.matchAll(/^# HELP (countersign_\w+) Former name of (countersign_\w+)$/gm)].map(
    ([, former = '', name = '']) => [former, name]
  ))
  const labelsOf = (name: string) =>
    definedCounters[(today.get(name) ?? name).replace('countersign_', '') as CounterName]?.labels ?? samples.get(name) ?? []
  const served = [...body.matchAll(/^# TYPE (countersign_\w+) (\w+)$/gm)].map(
    ([, name = '', kind]) => [name, kind, labelsOf(name).join(' ')]
  )
  const documented = [...(await readFile('docs/operations.md', 'utf8')).matchAll(/^\| `(countersign_\w+)` \| (\w+) \| ([^|]*) \|/gm)]
    .map(([, name, kind, labels = '']) => [name, kind, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).join(' ')])
  t.not(served.length, 0)
  t.strictSame(documented.map(String).toSorted(), served.map(String).toSorted())
  for (const line of body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) {
    t.match(line, /^[a-z0-9_:]+(\{.*\})? [+-]?[0-9.e+NaIinf-]+$/i)
  }
})

t.test('what stands for a dependency', async (t) => {
  const { app } = await freshApp(t, { REDIS_URL: '' })
  t.match(
    await scrape(app), { redis_up: 0, redis_breaker_open: 0, pool_waiting: 0, hashes_waiting: 0, feed_age_seconds: Number },
    'no Redis is none that is down'
  )
  const { app: cut } = await freshApp(t, { REDIS_URL: 'redis://127.0.0.1:1' })
  t.match(await scrape(cut), { redis_up: 0, redis_breaker_open: 1 })
})
