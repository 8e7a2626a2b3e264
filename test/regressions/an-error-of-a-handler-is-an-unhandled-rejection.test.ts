/**
 * The guard of Express called `next` inside a promise. Without Express, which catches it, an error that a handler threw became an
 * unhandled rejection: `--unhandled-rejections=warn` hid it, and tools that tell of uncaught exceptions named the wrong cause.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import express from 'express'
import t from 'tap'
import { guard } from '../../src/client/express.js'
import type { AccessClaims } from '../../src/client/index.js'

const module = new URL('../../src/client/express.js', import.meta.url).href

/** A process with a handler that throws behind the guard. Prints how the process heard of the error. */
const program = (verify: string): string => `
import { createServer } from 'node:http'
import { guard } from ${JSON.stringify(module)}
process.on('uncaughtException', (error, origin) => { console.log(origin, error.message); process.exit() })
const server = createServer((request, response) => {
  guard({ verify: ${verify} })(request, response, (error) => { throw error ?? new Error('a fault of the handler') })
}).listen(0, '127.0.0.1', () => { fetch('http://127.0.0.1:' + server.address().port).catch(() => {}) })
`

for (const [verify, message] of [
  ['async () => ({})', 'a fault of the handler'],
  ['async () => { throw new Error("a fault of the client") }', 'a fault of the client']
] as const) {
  t.test(`${message} is an uncaught exception, as behind any middleware`, async (t) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program(verify)], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    t.equal(await text(child.stdout), `uncaughtException ${message}\n`)
  })
}

t.test('Express gives it to its error handler', async (t) => {
  const app = express()
  app.get('/', guard({ verify: async () => ({} as AccessClaims) }), () => { throw new Error('a fault of the handler') })
  app.use((error: Error, _request: unknown, response: express.Response, _next: unknown) => { response.status(500).send(error.message) })
  const server = app.listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.strictSame([answer.status, await answer.text()], [500, 'a fault of the handler'])
})
