/**
 * The recipe for @fastify/http-proxy in docs/hosts.md watched the session for each request with the header `Upgrade`, until its
 * connection closed. A kept connection, whose requests only offer another protocol, collected them. So did the session of a client
 * that left while the guard was asked.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, request as send } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { until } from '../helpers/wait.js'

type Hook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => void
const [source] = /function endWithSession[^]+?\n}\n/.exec(await readFile('test/recipes/gateway/server.js', 'utf8'))!

/** Starts a proxy with the hook of the recipe. @param guard called before it */
async function start (t: Test, guard: () => Promise<void>) {
  const backEnd = Fastify()
  backEnd.get('/mine', async () => ({}))
  new WebSocketServer({ server: backEnd.server, path: '/live' })
    .on('connection', (socket) => { socket.send('hello') })
  const upstream = await backEnd.listen({ port: 0, host: '127.0.0.1' })
  const watches = new Set<() => void>()
  const counted = { all: 0 }
  const onEnd = (_request: FastifyRequest, end: () => void) => {
    counted.all++
    watches.add(end)
    return () => { watches.delete(end) }
  }
  // eslint-disable-next-line no-new-func
  const hook = new Function('app', `${source}\nreturn endWithSession`)({ countersign: { onEnd } }) as Hook
  const app = Fastify()
  await app.register(httpProxy, { upstream, prefix: '/back-end', websocket: true, preHandler: [guard, hook] as unknown as Hook })
  const base = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await Promise.all([app.close(), backEnd.close()]) })
  return { app, base, watches, counted }
}

t.test('a kept connection keeps no watch of an answered request', async (t) => {
  const { base, watches, counted } = await start(t, async () => {})
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  for (let i = 0; i < 3; i++) {
    const asked = send(`${base}/back-end/mine`, { agent, headers: { upgrade: 'example/1', connection: 'keep-alive' } }).end()
    const [answer] = await once(asked, 'response')
    answer.resume()
    await once(answer, 'end')
    t.equal(asked.reusedSocket, i > 0)
  }
  t.equal(counted.all, 3)
  await until('no watch to be left', () => watches.size === 0, 5000)
})

t.test('a client that leaves during the guard leaves no watch', async (t) => {
  let pass = (): void => {}
  let reached = false
  const passed = new Promise<void>((resolve) => { pass = resolve })
  const { app, base, watches } = await start(t, async () => {
    reached = true
    await passed
  })
  const closed = new Promise<void>((resolve) => { app.server.once('connection', (socket) => socket.once('close', () => { resolve() })) })
  const asked = send(`${base}/back-end/mine`, { headers: { upgrade: 'example/1', connection: 'keep-alive' } }).end()
  asked.on('error', () => {})
  await until('the guard', () => reached)
  asked.destroy()
  await closed
  pass()
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(watches.size, 0)
})

t.test('a websocket is watched for as long as it is open, and ended', async (t) => {
  const { base, watches } = await start(t, async () => {})
  const open = async () => {
    const socket = new WebSocket(`${base.replace('http', 'ws')}/back-end/live`)
    await once(socket, 'message')
    return socket
  }
  const left = await open()
  t.equal(watches.size, 1)
  left.close()
  await until('the watch to end with the connection', () => watches.size === 0, 5000)
  const ended = await open()
  for (const end of watches) end()
  await once(ended, 'close')
  await until('the watch to end with the session', () => watches.size === 0, 5000)
})
