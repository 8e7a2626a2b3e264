/** @fastify/http-proxy, @fastify/websocket and mercurius in one process, in front of a back end that trusts a header. */
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'
import { wholeFlow } from '../hosts/whole-flow.js'
import { installRecipe, logInAt } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const backEnd = Fastify()
backEnd.get('/mine', async ({ headers }) => ({ servedTo: headers['x-user-id'] ?? null }))
let askedWhileBusy = 0
backEnd.get('/busy', async (_request, reply) => {
  askedWhileBusy++
  return await reply.code(503).header('retry-after', '30').send({})
})
const url = await backEnd.listen({ port: 0, host: '127.0.0.1' })
new WebSocketServer({ server: backEnd.server, path: '/live' }).on('connection', (socket: WebSocket, request: { headers: object }) => {
  socket.send(`back end greets ${(request.headers as Record<string, string>)['x-user-id'] ?? 'nobody'}`)
})
t.teardown(() => backEnd.close())

const packages = [
  'fastify@5.12.8', 'pg@8.23.1', '@fastify/http-proxy@11.6.3', '@fastify/reply-from@12.6.5', '@fastify/jwt@10.2.8',
  '@fastify/websocket@11.3.7', 'mercurius@16.10.1', 'graphql@16.15.0'
]
const installed = await installRecipe(t, 'gateway', packages)
const env = { SEAL_KEYS: freshKeys()['SEAL_KEYS']!, JWT_SECRET: randomBytes(32).toString('hex'), BACK_END: url }
const { base, process } = await installed.start(env)
const other = await installed.start(env)
const logIn = logInAt(base)

/** Sends a request with a token. */
async function ask (token: string, method: string, path: string, body?: object, at = base): Promise<{ status: number, json: any }> {
  const answer = await fetch(`${at}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return { status: answer.status, json: await answer.json() }
}

/** Opens a websocket with a token. @returns the texts that came, and how it ended */
function open (token: string, path: string, protocols: string[] = []) {
  const headers = { authorization: `Bearer ${token}`, 'x-user-id': 'forged' }
  const socket = new WebSocket(`${base.replace('http', 'ws')}${path}`, protocols, { headers })
  const seen = { texts: [] as string[], ended: '', socket }
  socket.on('message', (data: Buffer) => seen.texts.push(String(data)))
  socket.on('error', (error: Error) => { seen.ended ||= error.message })
  socket.on('close', () => { seen.ended ||= 'closed' })
  return seen
}
const paths = ['/back-end/live', '/feed', '/graphql']

async function refused (t: Test, token: string, status: number): Promise<void> {
  for (const path of paths) {
    const opened = open(token, path, path === '/graphql' ? ['graphql-transport-ws'] : [])
    await until(`${path} to be refused`, () => opened.ended !== '')
    t.match(opened.ended, new RegExp(String(status)), path)
  }
}

t.test('websockets and subscriptions: refused, served with the user\'s id, and ended with the session at another process', async (t) => {
  const passwordOnly = async () => (await ask('', 'POST', '/login', { name: 'bob' })).json.token as string
  const first = await passwordOnly()
  const { json: { otpUrl } } = await ask(first, 'POST', '/totp/create', {})
  const code = totp(secretOf(otpUrl), stepAt(await installed.clock.now()))
  const { json: { token } } = await ask(first, 'POST', '/totp/login', { token: code })
  await refused(t, await passwordOnly(), 403)

  const back = open(token, '/back-end/live')
  const feed = open(token, '/feed')
  const graphql = open(token, '/graphql', ['graphql-transport-ws'])
  await until('both greetings', () => back.texts.length === 1 && feed.texts.length === 1 && graphql.socket.readyState === WebSocket.OPEN)
  t.same([...back.texts, ...feed.texts], ['back end greets bob', 'hello bob'])
  graphql.socket.send('{"type":"connection_init"}')
  await until('the acknowledgement', () => graphql.texts.length === 1)
  t.match(JSON.parse(graphql.texts[0]!), { type: 'connection_ack' })
  t.same((await ask(token, 'POST', '/graphql', { query: '{ me salary }' })).json, { data: { me: 'bob', salary: 1000 } })

  t.equal((await ask(token, 'POST', '/logout', {}, other.base)).status, 200)
  await until('all to end', () => back.ended !== '' && feed.ended !== '' && graphql.ended !== '')
  await refused(t, token, 401)
  process.stillRunning()
})

t.test('a back end that is busy is asked once for each request of a client', async (t) => {
  const { json: { token } } = await ask('', 'POST', '/login', { name: 'carol' })
  t.equal((await ask(token, 'GET', '/back-end/busy')).status, 503)
  t.equal(askedWhileBusy, 1)
})

t.test('the whole flow, in front of a proxied route', async (t) => {
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/totp',
    guarded: [
      { method: 'GET', path: '/back-end/mine', demand: 'plain' },
      { method: 'DELETE', path: '/invoices', demand: 'fresh' },
      { method: 'GET', path: '/payroll', demand: 'required' }
    ],
    logIn,
    codeOf: ({ json }) => json.code
  })
})
