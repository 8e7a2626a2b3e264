import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import httpProxy from '@fastify/http-proxy'
import staticFiles from '@fastify/static'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyRequest, type LightMyRequestResponse } from 'fastify'
import mercurius from 'mercurius'
import t from 'tap'
import { otpVerified } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

/*
 * Routes that are no handler of the host's: GraphQL, websockets, event streams, static files and proxied routes. Each refuses a session
 * without the second factor, serves a verified one, and refuses it, or ends its connection, when the session ended at another replica.
 */

await need('postgres')

const folder = await mkdtemp(join(tmpdir(), 'countersign-static-'))
await writeFile(join(folder, 'report.txt'), 'the report')
t.teardown(() => rm(folder, { recursive: true }))

/** Back end behind the proxy: it trusts the header that the proxy sets. */
const upstream = Fastify()
upstream.get('/mine', async ({ headers }) => ({ servedTo: headers['x-user-id'] ?? null }))
const upstreamUrl = await upstream.listen({ port: 0, host: '127.0.0.1' })
t.teardown(() => upstream.close())

/** The proxy comes before websockets and GraphQL: it adds hooks to the routes that are defined after it. */
async function proxied (app: FastifyInstance): Promise<void> {
  await app.register(httpProxy, {
    upstream: upstreamUrl,
    prefix: '/proxied',
    preHandler: otpVerified() as never,
    replyOptions: {
      rewriteRequestHeaders: (request, headers) => ({ ...headers, 'x-user-id': (request as FastifyRequest).countersign!.userId })
    }
  })
}

const schema = 'type Query { me: String, salary: Int }'
const resolvers = {
  Query: {
    me: (_root: unknown, _args: unknown, { reply }: { reply: { request: FastifyRequest } }) => reply.request.countersign!.userId,
    async salary (_root: unknown, _args: unknown, { app, reply }: { app: FastifyInstance, reply: { request: FastifyRequest } }) {
      await app.countersign.check(reply.request, { maxAge: 60 })
      return 1_000
    }
  }
}

async function routes (app: FastifyInstance): Promise<void> {
  app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
  await app.register(websocket)
  app.get('/socket', { websocket: true, preHandler: otpVerified() }, (socket, request) => {
    socket.on('close', app.countersign.onEnd(request, () => socket.close(1008)))
    socket.on('message', () => { socket.send(`hello ${request.countersign!.userId}`) })
  })
  app.get('/events', { preHandler: otpVerified() }, (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write(`data: hello ${request.countersign!.userId}\n\n`)
    reply.raw.on('close', app.countersign.onEnd(request, () => { reply.raw.end() }))
  })
  await app.register(async (scope) => {
    scope.addHook('preHandler', otpVerified())
    await scope.register(staticFiles, { root: folder, prefix: '/files/' })
  })
  await app.register(async (scope) => {
    scope.addHook('preHandler', otpVerified())
    await scope.register(mercurius, { schema, resolvers: resolvers as never })
  })
}

const sealKeys = freshKeys()['SEAL_KEYS']!
const host = await plainHost(t, { options: { sealKeys }, before: proxied, after: routes })
const { app, ask, enrol, db } = host
const replica = await plainHost(t, { options: { sealKeys }, db })
const base = await app.listen({ port: 0, host: '127.0.0.1' })

type Asker = Parameters<typeof ask>[0]
const headersOf = async ({ user, session }: Asker) =>
  ({ user, session, at: String(Math.floor((await db.clock.now()).getTime() / 1000)) })

/** Ends a session at the other replica, and waits until this one refuses it. */
async function endElsewhere ({ user, session }: Asker): Promise<void> {
  await replica.app.countersign.endSession(user, session)
  const ended = async () => outcome(await ask({ user, session }, 'GET', '/invoices')) === '401 SESSION_ENDED'
  await until('the session to be refused here', ended)
}

/** Status and code of a refusal, which mercurius answers in a body of its own. */
const refusalOf = ({ statusCode, headers }: LightMyRequestResponse) => `${statusCode} ${String(headers['x-refusal'])}`

/** A request of one answer: refused, served, and refused after the end. */
async function oneAnswer (user: string, method: 'GET' | 'POST', url: string, payload?: object) {
  const { verified } = await enrol(user)
  const refused = refusalOf(await ask({ user, session: 'password only' }, method, url, payload))
  const served = await ask(verified, method, url, payload)
  await endElsewhere(verified)
  const ended = refusalOf(await ask(verified, method, url, payload))
  return { refused, served, ended, anonymous: refusalOf(await app.inject({ method, url })) }
}

t.test('static files', async (t) => {
  const { refused, served, ended, anonymous } = await oneAnswer('ada', 'GET', '/files/report.txt')
  t.same([refused, served.body, ended, anonymous], ['403 OTP_REQUIRED', 'the report', '401 SESSION_ENDED', '401 TOKEN_INVALID'])
})

t.test('proxied routes, with the user for the back end; no header of the client takes its place', async (t) => {
  const { refused, served, ended, anonymous } = await oneAnswer('bob', 'GET', '/proxied/mine')
  t.same(
    [refused, served.json(), ended, anonymous], ['403 OTP_REQUIRED', { servedTo: 'bob' }, '401 SESSION_ENDED', '401 TOKEN_INVALID']
  )
  const { verified } = await enrol('mallory')
  const forged = await app.inject({ url: '/proxied/mine', headers: { ...await headersOf(verified), 'X-User-Id': 'bob' } })
  t.same(forged.json(), { servedTo: 'mallory' })
  for (const path of ['/proxied/../proxied/mine', '/proxied//mine', '//proxied/mine', '/%70roxied/mine', '/proxied/%2e%2e/mine']) {
    const { statusCode } = await ask({ user: 'bob', session: 'password only' }, 'GET', path)
    t.ok([401, 403, 404].includes(statusCode), `${path}: ${statusCode}`)
  }
})

t.test('GraphQL: the whole endpoint, and one field that asks for a fresh proof', async (t) => {
  const { refused, served, ended, anonymous } = await oneAnswer('cyd', 'POST', '/graphql', { query: '{ me salary }' })
  t.same(
    [refused, served.json(), ended, anonymous],
    ['403 OTP_REQUIRED', { data: { me: 'cyd', salary: 1_000 } }, '401 SESSION_ENDED', '401 TOKEN_INVALID']
  )
  const { verified } = await enrol('dan')
  const refusedBody = await ask({ user: 'dan', session: 'password only' }, 'POST', '/graphql', { query: '{ me }' })
  t.match(refusedBody.json(), { data: null, errors: [{ extensions: { code: 'OTP_REQUIRED' } }] })
  await db.clock.advance(61)
  await app.countersign.catchUp()
  t.match((await ask(verified, 'POST', '/graphql', { query: '{ me salary }' })).json(), {
    data: { me: 'dan', salary: null }, errors: [{ path: ['salary'], extensions: { code: 'OTP_STALE', maxAgeSeconds: 60 } }]
  })
})

t.test('a websocket: refused before it opens, served, and closed when its session ended elsewhere', async (t) => {
  const { verified } = await enrol('eve')
  const refused = app.injectWS('/socket', { headers: await headersOf({ user: 'eve', session: 'password only' }) })
  await t.rejects(refused, { message: /403/ })
  const socket = await app.injectWS('/socket', { headers: await headersOf(verified) })
  const heard: string[] = []
  let closed = 0
  socket.on('message', (data: Buffer) => heard.push(String(data)))
  socket.on('close', (code: number) => { closed = code })
  socket.send('hello')
  await until('an answer', () => heard.length === 1)
  t.same(heard, ['hello eve'])
  await endElsewhere(verified)
  await until('the socket to close', () => closed !== 0)
  t.equal(closed, 1008)
  await t.rejects(app.injectWS('/socket', { headers: await headersOf(verified) }), { message: /401/ })
})

/** Opens an event stream. @returns the status, and the text when the stream has ended */
async function stream (who: Asker): Promise<{ status: number, text: () => string, ended: () => boolean }> {
  const headers = await headersOf(who)
  return await new Promise((resolve, reject) => {
    get(`${base}/events`, { headers }, (response) => {
      let text = ''
      let ended = false
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => { ended = true })
      resolve({ status: response.statusCode!, text: () => text, ended: () => ended })
    }).on('error', reject)
  })
}

t.test('an event stream: refused, served, and ended when its session ended elsewhere', async (t) => {
  const { verified } = await enrol('fay')
  t.equal((await stream({ user: 'fay', session: 'password only' })).status, 403)
  const open = await stream(verified)
  t.equal(open.status, 200)
  await until('the first event', () => open.text() === 'data: hello fay\n\n')
  t.notOk(open.ended())
  await endElsewhere(verified)
  await until('the stream to end', open.ended)
  t.equal((await stream(verified)).status, 401)
})
