import { readFile } from 'node:fs/promises'
import t from 'tap'
import { blocksAfter } from './doc-blocks.js'
import { freePort } from './free-port.js'
import { behindGateway, checkFaults, checkIdentity, checkMethods, checkPreflights, checkRefusals } from './gateway.js'
import { call } from './http-client.js'
import type { Owner } from './teardown.js'

export interface LuaGateway {
  /** Names of the blocks of docs/gateway.md: the script that asks the service, and the configuration of the program. */
  blocks: [script: string, configuration: string]
  /** Text of the configuration by which it listens on port 80, and the same for another port of this machine. */
  listens: [text: string, at: (port: number) => string]
  start (t: Owner, configuration: string, script: string, port: number): Promise<void>
}

/** Tests a gateway that asks the service by a script, as docs/gateway.md has it. */
export async function testLuaGateway ({ blocks, listens, start }: LuaGateway): Promise<void> {
  const page = await readFile('docs/gateway.md', 'utf8')
  const [script = '', configuration = ''] = blocks.map((block) => blocksAfter(page, block)[0])
  const behind = await behindGateway(t)

  /** Starts the page's gateway before the back end. @returns its port */
  async function gateway (t: Owner, service: number, question = '/session'): Promise<number> {
    const port = await freePort()
    const text = configuration.replace(listens[0], listens[1](port)).replace('127.0.0.1:8000', `127.0.0.1:${behind.backEnd.port}`)
    await start(t, text, script.replace('127.0.0.1:3000/session', `127.0.0.1:${service}${question}`), port)
    return port
  }

  const port = await gateway(t, behind.countersign)
  t.test('the back end learns of the user from us alone', async (t) => { await checkIdentity(t, behind, port) })
  t.test('a refusal comes out as it is, and nothing reaches the back end', async (t) => { await checkRefusals(t, behind, port) })
  t.test('a forged preflight opens nothing', async (t) => { await checkPreflights(t, behind, port) })
  t.test('any method and path reaches the back end as it was asked', async (t) => { await checkMethods(t, behind, port) })
  t.test('any other answer of the service, and none, is a refusal', async (t) => {
    await checkFaults(t, behind, async (service) => await gateway(t, service), await freePort())
  })
  t.test('a stricter question', async (t) => {
    const base = `http://127.0.0.1:${await gateway(t, behind.countersign, '/session?required')}`
    t.equal((await call(base, 'GET', '/?x=1', { access: behind.owner.access })).status, 200)
    t.match((await call(base, 'GET', '/?x=1', { access: behind.optional.access })).json(), { statusCode: 403, code: 'OTP_REQUIRED' })
  })
}
