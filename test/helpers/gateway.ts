/** Checks that hold behind any gateway, and the service, users and back end for them. */
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { freshApp } from './app.js'
import { call } from './http-client.js'
import { listener } from './listener.js'
import { expect, signUp } from './person.js'
import { rawRequest } from './raw-http.js'
import type { Owner } from './teardown.js'

/** Headers that a client can send under our names, and under names that CGI and WSGI treat as the same. */
const FORGED = [
  'X-User-Id: root', 'x-session-id: root', 'X-OTP-DEVICE-ID: recovery', 'X-Otp-Verified: true',
  'X_User_Id: root', 'X-User_Id: root', 'X_Otp_Verified: true', 'X-Otp_Verified: true', 'x_otp-device_id: recovery'
]

export type Behind = Awaited<ReturnType<typeof behindGateway>>

/** Starts a service and a back end. `owner` has a second factor, `unverified` has yet to prove it, `optional` has none. */
export async function behindGateway (t: Owner) {
  const { app } = await freshApp(t, { NETWORK_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', CORS_ORIGINS: 'https://app.example' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const backEnd = await listener(t, (_incoming, reply) => { reply.setHeader('X-Back-End', 'yes').end('invoices') })
  const owner = await (await signUp(app, 'owner')).enrol()
  const unverified = owner.elsewhere()
  expect(200, await unverified.login())
  const optional = await signUp(app, 'optional')
  expect(200, await optional.login())
  return { app, countersign: (app.server.address() as AddressInfo).port, backEnd, owner, unverified, optional }
}

/** Checks that the back end learns of the user from us alone. */
export async function checkIdentity (t: Test, { backEnd, owner, optional }: Behind, port: number): Promise<void> {
  for (const [person, device] of [[owner, owner.deviceId], [optional, undefined]] as const) {
    for (const path of ['/', '/invoices/2?page=2&maxage=0&required', '/a%2Fb?x=%26']) {
      const headerLines = ['Host: x', `Authorization: Bearer ${person.access}`, ...FORGED, 'Content-Length: 2', 'Connection: close']
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
}

/** Checks that a refusal comes out as it is, and that nothing reaches the back end. */
export async function checkRefusals (t: Test, { backEnd, unverified }: Behind, port: number): Promise<void> {
  const base = `http://127.0.0.1:${port}`
  const reached = backEnd.seen.length
  const refusals = [[null, 401, 'TOKEN_INVALID'], ['nonsense', 401, 'TOKEN_INVALID'], [unverified.access, 403, 'OTP_REQUIRED']] as const
  for (const [access, status, code] of refusals) {
    for (const [method, path] of [['GET', '/'], ['POST', '/session'], ['DELETE', '/x?required=false'], ['OPTIONS', '/']] as const) {
      const answer = await call(base, method, path, { access })
      t.match(answer.json(), { statusCode: status, code }, `${method} ${path}`)
      t.equal(answer.status, status)
      t.match(answer.headers.get('www-authenticate'), /^Bearer error=/)
      t.match(answer.headers.get('content-type'), /^application\/json/)
      t.equal(answer.headers.get('cache-control'), 'no-store')
    }
    t.match(await call(base, 'HEAD', '/', { access }), { status, text: '' })
  }
  t.equal(backEnd.seen.length, reached)
}

/** Checks that a forged preflight opens nothing: the guard is asked as about any other request. */
export async function checkPreflights (t: Test, { backEnd, unverified }: Behind, port: number): Promise<void> {
  const base = `http://127.0.0.1:${port}`
  const reached = backEnd.seen.length
  const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' }
  const headers = { origin: 'https://app.example', ...asks }
  for (const path of ['/', '/session', '/invoices/1']) {
    t.equal((await call(base, 'OPTIONS', path, { headers })).status, 401, path)
    t.equal((await call(base, 'OPTIONS', path, { access: unverified.access, headers })).status, 403, path)
  }
  t.equal(backEnd.seen.length, reached)
}

/** Checks that any method and path reaches the back end as it was asked. */
export async function checkMethods (t: Test, { backEnd, owner }: Behind, port: number): Promise<void> {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    for (const path of ['/', '/a%2Fb%20c/%E2%82%AC?x=%26&y=+', '/invoices//2?maxAge=0', '/session/x?required']) {
      const body = method === 'POST' ? { body: { total: 1 } } : {}
      const answer = await call(`http://127.0.0.1:${port}`, method, path, { access: owner.access, ...body })
      t.equal(answer.status, 200, `${method} ${path}`)
      t.match(backEnd.seen.at(-1), { method, url: path, body: method === 'POST' ? '{"total":1}' : '' })
    }
  }
}

/**
 * Checks that the back end is not reached if the service answers no session, and if it does not answer.
 *
 * @param at starts the gateway with the service on a port, and returns the gateway's port
 * @param free a port on which nothing listens
 */
export async function checkFaults (
  t: Test, { backEnd, owner }: Behind, at: (service: number) => Promise<number>, free: number
): Promise<void> {
  const reached = backEnd.seen.length
  const answers: Record<string, [status: number, headers: Record<string, string>]> = {
    400: [400, { 'x-refusal': 'REQUEST_INVALID', 'content-type': 'application/json' }],
    204: [204, {}],
    302: [302, { location: '/elsewhere' }],
    404: [404, { 'x-refusal': 'NOT_FOUND' }],
    500: [500, { 'x-refusal': 'INTERNAL_ERROR' }],
    503: [503, { 'x-refusal': 'UNAVAILABLE', 'retry-after': '7' }]
  }
  const stub = await listener(t, ({ headers, socket }, reply) => {
    const [status, answered] = answers[headers.authorization ?? ''] ?? []
    if (status === undefined) socket.destroy()
    else reply.writeHead(status, answered).end(status === 204 ? undefined : '{"code": "REQUEST_INVALID"}')
  })
  const base = `http://127.0.0.1:${await at(stub.port)}`
  for (const [answered, status, wait] of [
    ['400', 400, null], ['204', 503, '1'], ['302', 503, '1'], ['404', 503, '1'], ['500', 503, '1'], ['503', 503, '7'], ['none', 503, '1']
  ] as const) {
    const answer = await call(base, 'POST', '/invoices', { headers: { authorization: answered }, body: { total: 1 } })
    t.equal(answer.status, status, answered)
    if (status === 503 && wait === '1') t.match(answer.json(), { statusCode: 503, code: 'UNAVAILABLE' }, answered)
    t.equal(answer.headers.get('retry-after'), wait, answered)
  }
  t.ok(stub.seen.length > 0)
  for (const { method, url, body } of stub.seen) t.match({ method, url, body }, { method: 'GET', url: '/session', body: '' })
  const answer = await call(`http://127.0.0.1:${await at(free)}`, 'GET', '/', { access: owner.access })
  t.match({ ...answer.json(), status: answer.status }, { status: 503, code: 'UNAVAILABLE' })
  t.equal(backEnd.seen.length, reached)
}
