import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect, type AddressInfo } from 'node:net'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import t from 'tap'
import { loadTracing } from '../../src/tracing/tracing.js'
import { freshApp } from '../helpers/app.js'
import { holdStatement } from '../helpers/held-statement.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis')

const { cache } = createRequire(import.meta.url)

// prom-client, which the service has, loads the API by itself.
t.test('without an SDK nothing of OpenTelemetry is loaded but its API', async (t) => {
  const { app } = await freshApp(t)
  const ada = await signUp(app, 'ada')
  t.equal((await ada.login()).statusCode, 200)
  t.same(Object.keys(cache).filter((file) => /@opentelemetry\/(?!api\/)/.test(file)), [])
  t.equal(await loadTracing(), null)
})

/** Registers a real SDK, as `--import` does, and returns its spans. Afterwards there is none again. */
async function sdk (t: { teardown (end: () => unknown): void }) {
  const { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = await import('@opentelemetry/sdk-trace-node')
  const { context, propagation, trace } = await import('@opentelemetry/api')
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  provider.register()
  t.teardown(async () => {
    for (const api of [context, propagation, trace]) api.disable()
    await provider.shutdown()
  })
  return exporter
}

const named = (spans: ReadableSpan[], name: string) => spans.filter((span) => span.name === name)

t.test('a request has a span, and its statements and Redis commands are spans in it', async (t) => {
  const exporter = await sdk(t)
  const { app } = await freshApp(t, { NETWORK_LIMITS: 'on' })
  const ada = await signUp(app, 'ada')
  exporter.reset()
  t.equal((await ada.login()).statusCode, 200)
  const spans = exporter.getFinishedSpans()
  const [request] = named(spans, 'POST /token')
  t.match(request, { kind: 1, status: { code: 0 }, parentSpanContext: undefined })
  t.match(request!.attributes, {
    'http.request.method': 'POST',
    'http.route': '/token',
    'http.response.status_code': 200,
    'url.path': '/token',
    'url.scheme': 'http',
    'network.protocol.version': '1.1'
  })
  const parts = spans.filter((span) => span !== request)
  const { spanId, traceId } = request!.spanContext()
  t.same(parts.filter((span) => span.parentSpanContext?.spanId !== spanId || span.spanContext().traceId !== traceId), [])
  const statements = parts.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql')
  t.ok(statements.length >= 2, `${statements.length} statements`)
  for (const { name, kind, attributes } of statements) {
    t.equal(kind, 2)
    t.equal(attributes['db.query.summary'], name)
    t.match(attributes['db.query.text'], /\b(select|insert|update|delete)\b/)
  }
  const commands = parts.filter(({ attributes }) => attributes['db.system.name'] === 'redis')
  t.ok(commands.length > 0)
  for (const { name, attributes } of commands) t.equal(attributes['db.operation.name'], name)
})

t.test('it continues the trace of its caller, and says which refusal it answered', async (t) => {
  const exporter = await sdk(t)
  const { app } = await freshApp(t)
  const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  const { headers } = await app.inject({ url: '/session?maxAge=5', headers: { traceparent: `00-${traceId}-${spanId}-01` } })
  const [request] = named(exporter.getFinishedSpans(), 'GET /session')
  t.match(request, { parentSpanContext: { traceId, spanId }, status: { code: 0 } })
  t.match(request!.attributes, {
    'http.response.status_code': 401,
    'url.path': '/session',
    'countersign.refusal': 'TOKEN_INVALID',
    'countersign.request_id': headers['x-request-id']
  })
})

t.test('no span has a token, a password, a query or the path of an unknown route; probes and background work have none', async (t) => {
  const exporter = await sdk(t)
  const { app } = await freshApp(t)
  // A name that no hexadecimal id holds by chance.
  const ada = await signUp(app, 'lovelace')
  await ada.login()
  await app.inject({ url: '/session?token=mistaken', headers: { authorization: `Bearer ${ada.access}` } })
  await app.inject({ url: '/unknown/mistaken' })
  await app.inject({ url: '/readyz' })
  const spans = exporter.getFinishedSpans()
  const text = JSON.stringify(spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })))
  for (const secret of [ada.password, ada.access!, ada.refresh!, 'mistaken', ada.username]) t.notMatch(text, secret)
  t.equal(named(spans, 'GET').length, 1)
  const roots = spans.filter(({ parentSpanContext }) => parentSpanContext === undefined)
  t.same([...new Set(roots.map(({ name }) => name))].sort(), ['GET', 'GET /session', 'POST /token', 'POST /users'])
})

t.test('a failed statement has the SQLSTATE, and its request is an error', async (t) => {
  const exporter = await sdk(t)
  const { app, db } = await freshApp(t)
  await db.query('drop table account cascade')
  const payload = { username: 'ada', password: 'correct horse battery' }
  const { statusCode } = await app.inject({ method: 'POST', url: '/token', payload })
  t.ok(statusCode >= 500)
  const spans = exporter.getFinishedSpans()
  t.match(named(spans, 'POST /token')[0], { status: { code: 2 }, attributes: { 'error.type': String(statusCode) } })
  const failed = spans.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql' && attributes['error.type'] !== undefined)
  t.same([...new Set(failed.map(({ attributes }) => attributes['error.type']))], ['42P01'])
})

t.test('a request that its client broke off has a span that ends, as an error without a status', async (t) => {
  const exporter = await sdk(t)
  const { app } = await freshApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const body = JSON.stringify({ username: 'ada', password: 'correct horse battery' })
  const head = `POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  const isEnded = () => named(exporter.getFinishedSpans(), 'POST /token').length === 1

  async function breakOff (bytes: string, reached: Promise<unknown>): Promise<ReadableSpan> {
    exporter.reset()
    const client = connect(port, '127.0.0.1').on('error', () => {})
    client.write(bytes)
    await reached
    client.destroy()
    await until('the span to end', async () => isEnded(), 5_000)
    return named(exporter.getFinishedSpans(), 'POST /token')[0]!
  }

  const held = holdStatement('password_budget')
  const whole = await breakOff(head + body, held.reached)
  held.release()
  const half = await breakOff(head + body.slice(0, 9), once(app.server, 'request'))
  for (const span of [whole, half]) {
    t.match(span, { status: { code: 2 }, attributes: { 'error.type': 'ECONNRESET', 'http.route': '/token' } })
    t.notOk('http.response.status_code' in span.attributes)
  }
})
