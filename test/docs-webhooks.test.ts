import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { SecurityEventNotice } from '../src/events/notice.js'
import { messageOf, type Message } from '../src/events/webhook/message.js'
import { freePort } from './helpers/free-port.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/wait.js'

/** The receiver from docs/webhooks.md, in its own process. */
const [, code = ''] = /<!-- receiver -->\n```js\n([^]*?)\n```/.exec(await readFile('docs/webhooks.md', 'utf8')) ?? []
const file = join(await temporaryFolder(t), 'receiver.mjs')
await writeFile(file, code)
const [ours, others] = [randomBytes(32), randomBytes(32)]
const port = await freePort()
const child = spawn(process.execPath, [file], { env: { WEBHOOK_KEY: ours.toString('base64url'), PORT: String(port) } })
t.teardown(() => child.kill())
let [told, complaints] = ['', '']
child.stdout.setEncoding('utf8').on('data', (text: string) => { told += text })
child.stderr.setEncoding('utf8').on('data', (text: string) => { complaints += text })

const nowSeconds = () => Date.now() / 1000
const event = (): SecurityEventNotice => ({
  id: randomUUID(),
  kind: 'otp_refused',
  at: new Date(),
  userId: 'ada',
  sessionId: null,
  ip: '198.51.100.7',
  agent: 'ü',
  deviceName: null,
  actorId: null,
  detail: null
})
const message = (bytes = ours, sentAtSeconds = nowSeconds()) => messageOf(
  event(), [{ kid: 'old', bytes: others }, { kid: 'new', bytes }], sentAtSeconds
)
const post = async ({ headers, body }: Message) => {
  const { 'content-length': _, ...rest } = headers
  return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: rest, body })).status
}
const without = ({ headers, body }: Message, name: string): Message => ({
  headers: Object.fromEntries(Object.entries(headers).filter(([header]) => header !== name)), body
})

await until('the receiver to listen', () => fetch(`http://127.0.0.1:${port}/`).then(({ status }) => status === 401, () => false), 60_000)

t.test('what is genuine is taken, once for each id', async (t) => {
  told = ''
  const one = message()
  t.same([await post(one), await post(one), await post(message())], [204, 204, 204])
  await until('both to be told', () => told.split('\n').length === 3)
  t.equal(told, 'otp_refused ada\notp_refused ada\n')
})

t.test('what was altered, is old, early, unsigned or signed by somebody else is not', async (t) => {
  told = ''
  const good = message()
  const refused: Record<string, Message> = {
    'another body': { ...good, body: good.body.replace('ada', 'bob') },
    'another id': { ...good, headers: { ...good.headers, 'webhook-id': randomUUID() } },
    'another time': { ...good, headers: { ...good.headers, 'webhook-timestamp': String(Math.floor(nowSeconds()) + 1) } },
    'six minutes old': message(ours, nowSeconds() - 360),
    'six minutes early': message(ours, nowSeconds() + 360),
    'no time': { ...good, headers: { ...good.headers, 'webhook-timestamp': 'now' } },
    'somebody else\'s key': message(randomBytes(32)),
    'half a signature': { ...good, headers: { ...good.headers, 'webhook-signature': good.headers['webhook-signature']!.slice(0, -5) } },
    ...Object.fromEntries(['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [`no ${name}`, without(good, name)]))
  }
  for (const [what, bad] of Object.entries(refused)) t.equal(await post(bad), 401, what)
  t.equal(await post(good), 204, 'the same, untouched')
  await until('it to be told', () => told !== '')
  t.equal(told, 'otp_refused ada\n')
  t.equal(complaints, '')
})

t.test('a request that breaks off, or that has no end, does not end the receiver', async (t) => {
  told = ''
  const socket = connect(port, '127.0.0.1')
  // The receiver has begun to read once it asks for the body.
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n')
  await once(socket, 'data')
  socket.end('{"type"')
  await once(socket, 'close')
  const long = message()
  const answer = await post({ ...long, body: ' '.repeat(10_000_000) }).catch(() => 'cut off')
  t.ok(answer === 401 || answer === 'cut off', String(answer))
  t.equal(await post(message()), 204)
  await until('it to be told', () => told !== '')
  t.equal(child.exitCode, null)
  t.equal(complaints, '')
})
