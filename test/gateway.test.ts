/** docs/gateway.md: this test runs the configuration of the page. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import t from 'tap'
import { blocksAfter } from './helpers/doc-blocks.js'
import { freePort } from './helpers/free-port.js'
import { behindGateway, checkMethods, checkPreflights } from './helpers/gateway.js'
import { call } from './helpers/http-client.js'
import { listener } from './helpers/listener.js'
import { need } from './helpers/need.js'
import { startNginx } from './helpers/nginx.js'
import { expect, type Person } from './helpers/person.js'
import { rawRequest } from './helpers/raw-http.js'
import type { Owner } from './helpers/teardown.js'
import { until } from './helpers/wait.js'

const nginx = await need('nginx')
const python = await need('python3')

const page = await readFile('docs/gateway.md', 'utf8')
const [configuration = ''] = blocksAfter(page, 'nginx')
const [backEndInPython = ''] = blocksAfter(page, 'back end')

/** Starts the page's nginx between the two. @returns its port */
async function gateway (t: Owner, countersign: number, backEnd: number): Promise<number> {
  const port = await freePort()
  const text = configuration
    .replace('127.0.0.1:3000', `127.0.0.1:${countersign}`)
    .replace('127.0.0.1:8000', `127.0.0.1:${backEnd}`)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
  await startNginx(t, nginx, text, port)
  return port
}

const behind = await behindGateway(t)
const { backEnd, countersign, owner, unverified, optional } = behind
const port = await gateway(t, countersign, backEnd.port)
const base = `http://127.0.0.1:${port}`

const forged = {
  'x-user-id': 'root',
  'x-session-id': 'root',
  'x-otp-device-id': 'recovery',
  'x-otp-verified': 'yes',
  x_user_id: 'root',
  X_Otp_Device_Id: 'recovery'
}

t.test("the back end learns who is requester from us alone, whatever the client says under our headers' names", async (t) => {
  for (const [who, device] of [[owner, owner.deviceId], [optional, undefined]] as const) {
    const answer = await call(base, 'GET', '/invoices', { access: who.access, headers: forged })
    t.match(answer, { status: 200, text: 'invoices' })
    const { headers } = backEnd.seen.at(-1)!
    t.match(headers, { 'x-user-id': who.claims()['sub'], 'x-session-id': who.claims()['sid'] })
    t.equal(headers['x-otp-device-id'], device ?? undefined)
    t.equal(headers['x-otp-verified'], String(device !== undefined))
    t.equal(headers.authorization, undefined, 'no token gets through')
    t.notMatch(Object.keys(headers).join(' '), '_', 'nor a header that some languages take for ours')
    t.notMatch(JSON.stringify(headers), /root|"recovery"/)
  }
  const twice = 'X-User-Id: root\r\nx-user-id: toor\r\nX-OTP-DEVICE-ID: recovery\r\n'
  t.match(
    await rawRequest(port, `GET / HTTP/1.1\r\nHost: x\r\n${twice}Authorization: Bearer ${optional.access}\r\nConnection: close\r\n\r\n`),
    { statusCode: 200 }
  )
  t.equal(backEnd.seen.at(-1)?.headers['x-user-id'], optional.claims()['sub'])
  t.equal(backEnd.seen.at(-1)?.headers['x-otp-device-id'], undefined)
})

t.test('401 and 403 come out as themselves, with challenge and code, and nothing reaches the back end', async (t) => {
  const reached = backEnd.seen.length
  const ended = optional.elsewhere()
  expect(200, await ended.login())
  expect(204, await ended.request('POST', '/token/revoke'))
  for (const [access, status, code, challenge] of [
    [null, 401, 'TOKEN_INVALID', 'Bearer error="invalid_token"'],
    ['nonsense', 401, 'TOKEN_INVALID', 'Bearer error="invalid_token"'],
    [ended.access, 401, 'SESSION_ENDED', 'Bearer error="invalid_token"'],
    [unverified.access, 403, 'OTP_REQUIRED', 'Bearer error="insufficient_user_authentication"']
  ] as const) {
    for (const [method, path] of [
      ['GET', '/'], ['POST', '/a.html'], ['DELETE', '/%2e%2e/x?y=%26'], ['OPTIONS', '/'], ['GET', '/session']
    ] as const) {
      const answer = await call(base, method, path, { access, headers: forged })
      const what = `${method} ${path} ${code}`
      t.equal(answer.status, status, what)
      t.match(answer.json(), { statusCode: status, code, error: String, message: String }, what)
      t.equal(answer.headers.get('www-authenticate'), challenge, what)
      t.match(answer.headers.get('content-type'), /^application\/json/, what)
      t.equal(answer.headers.get('cache-control'), 'no-store', what)
    }
    t.match(await call(base, 'HEAD', '/', { access }), { status, text: '' })
  }
  t.equal((await call(base, 'GET', '/_session', { access: owner.access })).status, 404, 'the question is for nginx alone')
  t.equal(backEnd.seen.length, reached)
})

t.test('a forged preflight opens nothing: the guard is asked as about any other request', async (t) => {
  await checkPreflights(t, behind, port)
})

t.test('any method and path reaches the back end as it was asked', async (t) => { await checkMethods(t, behind, port) })

t.test('429 comes out as itself, for the network that asked too often and no other', async (t) => {
  const refused = await until('the limit of a network', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => askFrom('127.0.0.2', owner)))
    return answers.find(({ status }) => status !== 200)
  })
  t.match(refused, { status: 429, headers: { 'retry-after': /^[1-9][0-9]*$/, 'content-type': /^application\/json/ } })
  t.match(JSON.parse(refused.text), { statusCode: 429, code: 'RATE_LIMITED' })
  t.equal((await askFrom('127.0.0.3', owner)).status, 200)
})

t.test('whatever Countersign answers, or if it does not, is a refusal or an answer of the back end', async (t) => {
  const answers = new Map<string, [status: number, headers: Record<string, string>]>([
    ['400', [400, { 'x-refusal': 'REQUEST_INVALID' }]],
    ['404', [404, { 'x-refusal': 'NOT_FOUND' }]],
    ['500', [500, { 'x-refusal': 'INTERNAL_ERROR' }]],
    ['503', [503, { 'x-refusal': 'UNAVAILABLE', 'retry-after': '7' }]],
    ['302', [302, { location: '/elsewhere' }]]
  ])
  const stub = await listener(t, (incoming, reply) => {
    const [status, headers] = answers.get(incoming.headers.authorization ?? '') ?? []
    if (status === undefined) incoming.socket.destroy()
    else reply.writeHead(status, headers).end('{"inside": true}')
  })
  const at = `http://127.0.0.1:${await gateway(t, stub.port, backEnd.port)}`
  const reached = backEnd.seen.length
  for (const [answered, status, code, wait] of [
    ['400', 400, 'REQUEST_INVALID', null],
    ['404', 503, 'UNAVAILABLE', '1'],
    ['500', 503, 'UNAVAILABLE', '1'],
    ['503', 503, 'UNAVAILABLE', '7'],
    ['302', 503, 'UNAVAILABLE', '1'],
    ['nothing', 503, 'UNAVAILABLE', '1']
  ] as const) {
    const answer = await call(at, 'POST', '/invoices', { headers: { authorization: answered }, body: { total: 1 } })
    t.equal(answer.status, status, answered)
    t.match(answer.json(), { statusCode: status, code }, answered)
    t.equal(answer.headers.get('retry-after'), wait, answered)
    t.equal(answer.headers.get('www-authenticate'), null, answered)
  }
  t.equal(backEnd.seen.length, reached)

  t.ok(stub.seen.length > 0)
  for (const { method, url, headers, body } of stub.seen) {
    t.match({ method, url, body }, { method: 'GET', url: '/session', body: '' })
    t.equal(headers['content-length'] ?? headers['transfer-encoding'], undefined, 'a body is not even announced')
  }
  const nobody = `http://127.0.0.1:${await gateway(t, await freePort(), backEnd.port)}`
  const answer = await call(nobody, 'GET', '/', { access: owner.access })
  t.match({ ...answer.json(), status: answer.status }, { status: 503, code: 'UNAVAILABLE' })
})

t.test('a body in chunks goes to the back end, and to it alone', async (t) => {
  const bytes = `POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${owner.access}\r\n` +
    'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
  t.equal((await rawRequest(port, bytes)).statusCode, 200)
  t.match(backEnd.seen.at(-1), { url: '/upload', body: 'hello' })
})

t.test("the back end's own refusals stay its own", async (t) => {
  const refusing = await listener(
    t, (incoming, reply) => { reply.writeHead(Number(incoming.url?.slice(1)), { 'x-back-end': 'yes' }).end('its own') }
  )
  const at = `http://127.0.0.1:${await gateway(t, countersign, refusing.port)}`
  for (const status of [401, 403, 404, 429, 500, 503]) {
    const answer = await call(at, 'GET', `/${status}`, { access: owner.access })
    t.match({ status: answer.status, text: answer.text }, { status, text: 'its own' })
    t.equal(answer.headers.get('x-back-end'), 'yes')
  }
})

t.test('the back end of the page, in Python', async (t) => {
  const pythonPort = await freePort()
  const child = spawn(python, ['-c', backEndInPython.replace('8000', String(pythonPort))], { stdio: ['ignore', 'ignore', 'ignore'] })
  const exited = once(child, 'close')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  const at = `http://127.0.0.1:${await gateway(t, countersign, pythonPort)}`
  const ask = async (who: Person) => await until('Python to listen', async () => {
    const answer = await call(at, 'GET', '/', { access: who.access })
    return answer.status === 502 ? undefined : answer
  })
  t.match(await ask(owner), { status: 200, text: `invoices of ${String(owner.claims()['sub'])}, verified\n` })
  t.match(await ask(optional), { status: 200, text: `invoices of ${String(optional.claims()['sub'])}, without a second factor\n` })
})

/** Sends a request from another address of this machine, which is another network for the limits. */
async function askFrom (localAddress: string, { access }: Person): Promise<{ status: number, headers: IncomingHttpHeaders, text: string }> {
  const sent = request({ host: '127.0.0.1', port, localAddress, headers: { authorization: `Bearer ${access}` } }).end()
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString() }
}
