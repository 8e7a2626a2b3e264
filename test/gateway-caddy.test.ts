/** docs/gateway.md, Caddy: this test runs the block of the page. */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { freshApp } from './helpers/app.js'
import { startCaddy } from './helpers/caddy.js'
import { blocksAfter } from './helpers/doc-blocks.js'
import { freePort } from './helpers/free-port.js'
import { call } from './helpers/http-client.js'
import { listener } from './helpers/listener.js'
import { need } from './helpers/need.js'
import { expect, signUp } from './helpers/person.js'
import { rawRequest } from './helpers/raw-http.js'
import type { Owner } from './helpers/teardown.js'

const caddy = await need('caddy')
const [block = ''] = blocksAfter(await readFile('docs/gateway.md', 'utf8'), 'caddy')

/**
 * The directives into which `forward_auth` expands in 2.10 and 2.11.1: an empty header of ours is not copied, and the client's
 * header stays.
 */
function asInLaterReleases (site: string): string {
  const [, indent = '', backEnd = '', body = ''] = /^([ \t]*)forward_auth (\S+) \{\n([^}]*)\}/m.exec(site)!
  const [, uri = ''] = /uri (\S+)/.exec(body)!
  const [, names = ''] = /copy_headers (.*)/.exec(body)!
  const copies = names.split(' ').flatMap((name, i) => {
    const value = `{http.reverse_proxy.header.${name}}`
    return [`@copied${i} not vars ${value} ""`, `request_header @copied${i} ${name} ${value}`]
  })
  const forwarded = ['header_up X-Forwarded-Method {method}', 'header_up X-Forwarded-Uri {uri}']
  const steps = ['method GET', `rewrite ${uri}`, ...forwarded, '@good status 2xx', 'handle_response @good {', ...copies, '}']
  return site.replace(/^[ \t]*forward_auth [^}]*\}/m, `${indent}reverse_proxy ${backEnd} {\n${steps.join('\n')}\n}`)
}

const { app } = await freshApp(t, {
  NETWORK_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', CORS_ORIGINS: 'https://app.example'
})
await app.listen({ port: 0, host: '127.0.0.1' })
const countersign = (app.server.address() as AddressInfo).port
const backEnd = await listener(t, (_incoming, reply) => { reply.end('invoices') })

/** Starts the page's Caddy before the back end. @returns its port */
async function gateway (t: Owner, site: string, guard: number): Promise<number> {
  const port = await freePort()
  const text = site.replace(':80 {', `:${port} {\n\tbind 127.0.0.1`)
    .replace('127.0.0.1:3000', `127.0.0.1:${guard}`)
    .replace('127.0.0.1:8000', `127.0.0.1:${backEnd.port}`)
  await startCaddy(t, caddy, text, port)
  return port
}

const owner = await (await signUp(app, 'owner')).enrol()
const unverified = owner.elsewhere()
expect(200, await unverified.login())
const optional = await signUp(app, 'optional')
expect(200, await optional.login())

/** Headers that a client can send under our names, and under names that CGI and WSGI treat as the same. */
const forged = [
  'X-User-Id: root', 'x-session-id: root', 'X-OTP-DEVICE-ID: recovery', 'X-Otp-Verified: true',
  'X_User_Id: root', 'X-User_Id: root', 'X_Otp_Verified: true', 'X-Otp_Verified: true', 'x_otp-device_id: recovery'
]

for (const [release, site] of [['as it stands', block], ['with the steps of later releases', asInLaterReleases(block)]] as const) {
  t.test(`the back end learns of the user from us alone: ${release}`, async (t) => {
    const port = await gateway(t, site, countersign)
    for (const [person, device] of [[owner, owner.deviceId], [optional, undefined]] as const) {
      for (const path of ['/', '/invoices/2?page=2&maxage=0&required', '/a%2Fb?x=%26']) {
        const headerLines = ['Host: x', `Authorization: Bearer ${person.access}`, ...forged, 'Content-Length: 2', 'Connection: close']
        const bytes = `POST ${path} HTTP/1.1\r\n${headerLines.join('\r\n')}\r\n\r\nhi`
        t.equal((await rawRequest(port, bytes)).statusCode, 200, path)
        const { method, url, body, headers } = backEnd.seen.at(-1)!
        t.match({ method, url, body }, { method: 'POST', url: path, body: 'hi' })
        const { sub, sid } = person.claims()
        t.match(headers, { 'x-user-id': sub, 'x-session-id': sid, 'x-otp-verified': String(device !== undefined) })
        t.equal(headers['x-otp-device-id'] || undefined, device ?? undefined, path)
        t.equal(headers.authorization, undefined)
        t.notMatch(Object.keys(headers).join(' '), '_')
        t.notMatch(JSON.stringify(headers), /root|"recovery"/)
      }
    }
  })

  t.test(`a refusal comes out as it is, and nothing reaches the back end: ${release}`, async (t) => {
    const base = `http://127.0.0.1:${await gateway(t, site, countersign)}`
    const reached = backEnd.seen.length
    const refusals = [[null, 401, 'TOKEN_INVALID'], ['nonsense', 401, 'TOKEN_INVALID'], [unverified.access, 403, 'OTP_REQUIRED']] as const
    for (const [access, status, code] of refusals) {
      for (const [method, path] of [['GET', '/'], ['POST', '/session'], ['DELETE', '/x?required=false']] as const) {
        const answer = await call(base, method, path, { access })
        t.match(answer.json(), { statusCode: status, code }, `${method} ${path}`)
        t.equal(answer.status, status)
        t.match(answer.headers.get('www-authenticate'), /^Bearer error=/)
      }
    }
    const nothing = `http://127.0.0.1:${await gateway(t, site, await freePort())}`
    t.equal((await call(nothing, 'GET', '/', { access: owner.access })).status, 502, 'Countersign out of reach')
    t.equal(backEnd.seen.length, reached)
  })

  t.test(`a forged preflight opens nothing: ${release}`, async (t) => {
    const base = `http://127.0.0.1:${await gateway(t, site, countersign)}`
    const reached = backEnd.seen.length
    const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' }
    const headers = { origin: 'https://app.example', ...asks }
    for (const path of ['/', '/session', '/invoices/1']) {
      t.equal((await call(base, 'OPTIONS', path, { headers })).status, 401, path)
      t.equal((await call(base, 'OPTIONS', path, { access: unverified.access, headers })).status, 403, path)
    }
    t.equal(backEnd.seen.length, reached)
  })
}

t.test('a stricter question', async (t) => {
  const base = `http://127.0.0.1:${await gateway(t, block.replace('/session?', '/session?required'), countersign)}`
  t.equal((await call(base, 'GET', '/?x=1', { access: owner.access })).status, 200)
  t.match((await call(base, 'GET', '/?x=1', { access: optional.access })).json(), { statusCode: 403, code: 'OTP_REQUIRED' })
})
