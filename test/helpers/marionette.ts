import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { freePort } from './free-port.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'
import { until } from './wait.js'

/** Sends one command of Marionette, Firefox's remote protocol over TCP. @throws {Error} with the protocol's error */
export type Marionette = <Result>(command: string, parameters?: object) => Promise<Result>

/** Passkeys of a software token, in place of a device; scripts in pages without focus; JSON as a page of its own origin. */
const preferences = {
  'devtools.jsonview.enabled': false,
  'security.webauth.webauthn_enable_softtoken': true,
  'security.webauth.webauthn_enable_usbtoken': false,
  'focusmanager.testmode': true
}

/** Starts Firefox without a window, on a profile of its own. Debian has no geckodriver, and Playwright cannot drive its Firefox. */
export async function startFirefox (t: Owner, executablePath: string): Promise<Marionette> {
  const [profile, port] = [await temporaryFolder(t), await freePort()]
  const all = Object.entries({ ...preferences, 'marionette.port': port })
  await writeFile(join(profile, 'user.js'), all.map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${value});\n`).join(''))
  const child = spawn(executablePath, ['--headless', '--no-remote', '--marionette', '--profile', profile], {
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' }, stdio: 'ignore', detached: true
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    // Its own children too.
    process.kill(-child.pid!, 'SIGKILL')
    await exited
  })
  const socket = await until('Firefox to listen', () => connected(port), 120_000)
  t.teardown(() => { socket.destroy() })
  const send = client(socket)
  await send('WebDriver:NewSession', {})
  return send
}

async function connected (port: number): Promise<Socket | undefined> {
  const socket = createConnection(port, '127.0.0.1')
  return await once(socket, 'connect').then(() => socket, () => undefined)
}

/** A message is its length in bytes, a colon, and JSON: `[0, id, command, parameters]`, answered by `[1, id, error, result]`. */
function client (socket: Socket): Marionette {
  const waiting = new Map<number, (answer: { error: unknown, result: unknown }) => void>()
  let received = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    for (;;) {
      const colon = received.indexOf(':')
      const length = Number(received.subarray(0, colon).toString())
      if (colon === -1 || received.length < colon + 1 + length) return
      const message = JSON.parse(received.subarray(colon + 1, colon + 1 + length).toString()) as unknown
      received = received.subarray(colon + 1 + length)
      // The first one is a greeting.
      if (Array.isArray(message)) waiting.get(message[1])?.({ error: message[2], result: message[3] })
    }
  })
  let id = 0
  return async <Result>(command: string, parameters: object = {}) => {
    const text = JSON.stringify([0, ++id, command, parameters])
    const answer = new Promise<{ error: unknown, result: unknown }>((resolve) => { waiting.set(id, resolve) })
    socket.write(`${Buffer.byteLength(text)}:${text}`)
    const { error, result } = await answer
    if (error !== null) throw new Error(`${command}: ${JSON.stringify(error)}`)
    return result as Result
  }
}
