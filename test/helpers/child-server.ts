import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { App } from './app.js'
import { freePort } from './redis-server.js'
import { until } from './wait.js'

const SERVER = fileURLToPath(new URL('../../src/server.js', import.meta.url))
const START_MS = 30_000

/** `npm start` as a process of its own, to be killed and read. */
export interface ChildServer {
  /** For `Person`: requests go over the network. It has no clock; codes are `totp(secret, stepAt(new Date()))`. */
  app: App
  /** All that it wrote so far, both streams. */
  said: () => string
  /** Resolves when it has ended. */
  kill: (signal: NodeJS.Signals) => Promise<void>
}

/** @param settings environment variables; PORT is chosen */
export async function childServer (t: Pick<Test, 'teardown'>, settings: Record<string, string>): Promise<ChildServer> {
  const port = await freePort()
  const child = spawn(process.execPath, [SERVER], { env: { PATH: process.env['PATH'], ...settings, PORT: String(port) }, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => { text += bytes.toString() })
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  t.teardown(() => kill('SIGKILL'))

  const url = `http://127.0.0.1:${port}`
  await until('a server of its own to be ready', async () => {
    if (child.exitCode !== null) throw new Error(text)
    return (await fetch(`${url}/readyz`)).ok
  }, START_MS)
  return { app: { inject: (options: InjectOptions) => overNetwork(url, options) } as unknown as App, said: () => text, kill }
}

async function overNetwork (origin: string, { method = 'GET', url, headers, payload }: InjectOptions): Promise<LightMyRequestResponse> {
  const answer = await fetch(`${origin}${String(url)}`, {
    method,
    headers: { ...headers as Record<string, string>, ...(payload === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(payload === undefined ? {} : { body: JSON.stringify(payload) })
  })
  const body = await answer.text()
  return { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body, json: () => JSON.parse(body) } as unknown as LightMyRequestResponse
}
