/**
 * A time limit of the application had answered while the guard asked the service. The guard's refusal then threw
 * ERR_HTTP_HEADERS_SENT in a promise without a handler, which ended the process.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { guard } from '../../src/client/express.js'
import { Refusal } from '../../src/client/index.js'

t.test('a refusal that comes after the answer is dropped', async (t) => {
  let refuse = (_refusal: Refusal): void => {}
  const asked = new Promise<never>((_resolve, reject) => { refuse = reject })
  const unhandled: unknown[] = []
  const note = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => { process.off('unhandledRejection', note) })
  const server = createServer((request, response) => {
    guard({ verify: () => asked })(request, response, () => { response.end('passed') })
    response.writeHead(503).end('too late')
  }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.equal(answer.status, 503)
  t.equal(await answer.text(), 'too late')
  refuse(new Refusal('UNAVAILABLE'))
  // Node tells of a rejection without a handler after the microtasks.
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})
