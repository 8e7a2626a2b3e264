import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../helpers/free-port.js'
import { call } from '../helpers/http-client.js'
import { startNode } from '../helpers/node-process.js'
import { freshSettings, type Settings } from '../helpers/settings.js'
import type { Owner } from '../helpers/teardown.js'

/*
 * `countersign serve` reported that the port was taken, but did not exit: its connections to PostgreSQL and Redis were open.
 * With OPS_PORT taken it even went on serving. So no supervisor restarted it.
 */

const CLI = join(import.meta.dirname, '../../src/bin.js')

const occupied = createServer().listen(0, '127.0.0.1')
await once(occupied, 'listening')
t.teardown(() => { occupied.close() })
const taken = String((occupied.address() as AddressInfo).port)

async function endOf (t: Owner, more: Settings): Promise<{ code: number | null, said: string }> {
  const { exited, said } = startNode(t, [CLI, 'serve'], { ...await freshSettings(t), LOG_LEVEL: 'error', ...more })
  return { code: await exited, said: said() }
}

t.test('O9 PORT is taken: one line, and the process ends with 1', { timeout: 60_000 }, async (t) => {
  const { code, said } = await endOf(t, { PORT: taken })
  t.equal(code, 1)
  t.match(said, /^PORT /)
  t.equal(said.trim().split('\n').length, 1, said)
})

t.test('O9 OPS_PORT is taken: the same, and PORT is free again', { timeout: 60_000 }, async (t) => {
  const port = await freePort()
  const { code, said } = await endOf(t, { PORT: String(port), OPS_PORT: taken })
  t.equal(code, 1)
  t.match(said, /^OPS_PORT /)
  t.equal(said.trim().split('\n').length, 1, said)
  await t.rejects(call(`http://127.0.0.1:${port}`, 'GET', '/livez'))
})
