import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { idDigest } from '../../src/core/claims.js'
import type { Owner } from './teardown.js'

const KEY = 'key-of-the-client'

/** A service whose answers a test writes, for what the real one does not answer yet, or not any more. */
export interface FakeService {
  url: string
  key: string
  /** Fields that lines have beside, or in place of, those of this release; null for no lines. */
  line: object | null
  /** Status of `/revocations`. */
  status: number
  /** Status and keys of the JWK Set. */
  jwks: { status: number, kids: string[] }
  /** Answer of `/session`. */
  session: { status: number, headers: Record<string, string>, body: object }
  /** Lead of the database's clock over this machine's. */
  aheadSeconds: number
  ended: string[]
  /** Paths that were asked for, with `X-Forwarded-For`. */
  asked: Array<[path: string, from: string | undefined]>
  token (claims?: object, header?: object): string
  /** Ends all connections. */
  stop (): Promise<void>
  start (): Promise<void>
}

export async function fakeService (t: Owner): Promise<FakeService> {
  const keys = new Map<string, { privateKey: KeyObject, publicKey: KeyObject }>()
  const keyOf = (kid: string) => {
    const pair = keys.get(kid) ?? generateKeyPairSync('ed25519')
    keys.set(kid, pair)
    return pair
  }
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const nowSeconds = () => Date.now() / 1000 + fake.aheadSeconds

  function follow (reply: ServerResponse): void {
    const arrivedAtMs = performance.now()
    const write = (): void => {
      if (fake.line === null) return
      const ms = performance.now() - arrivedAtMs
      const ids = fake.ended.map(idDigest)
      const line = { ms, age: 1, time: nowSeconds() * 1000, keep: 360, full: true, more: false, cursor: 'c', ids, marks: [], ...fake.line }
      reply.write(`${JSON.stringify(line)}\n`)
    }
    write()
    const timer = setInterval(write, 50)
    reply.once('close', () => { clearInterval(timer) })
  }

  let port = 0
  const server = createServer((request, reply) => {
    const [path = ''] = (request.url ?? '').split('?')
    fake.asked.push([request.url ?? '', request.headers['x-forwarded-for'] as string | undefined])
    if (path === '/revocations') {
      const isKnown = request.headers.authorization === `Bearer ${KEY}`
      reply.writeHead(isKnown ? fake.status : 401)
      if (isKnown && fake.status === 200) follow(reply)
      else reply.end('{}')
    } else if (path === '/session') {
      reply.writeHead(fake.session.status, fake.session.headers).end(JSON.stringify(fake.session.body))
    } else {
      const published = fake.jwks.kids.map((kid) =>
        ({ ...keyOf(kid).publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig', 'of-a-later-release': true }))
      reply.writeHead(fake.jwks.status).end(JSON.stringify({ keys: published, more: 1 }))
    }
  })

  const fake: FakeService = {
    url: '',
    key: KEY,
    line: {},
    status: 200,
    jwks: { status: 200, kids: ['one'] },
    session: { status: 200, headers: {}, body: { userId: 'ada', sessionId: 's', otpDeviceId: null, otpTime: null, expiresAt: '' } },
    aheadSeconds: 0,
    ended: [],
    asked: [],
    token (claims = {}, header = {}) {
      const now = Math.floor(nowSeconds())
      const head = { alg: 'EdDSA', typ: 'at+jwt', kid: 'one', ...header }
      const body = {
        iss: 'countersign',
        aud: 'countersign',
        sub: 'ada',
        sid: randomUUID(),
        jti: randomUUID(),
        iat: now,
        exp: now + 300,
        token_type: 'access',
        auth_time: now,
        amr: ['pwd'],
        otp_required: false,
        otp_device_id: null,
        otp_time: null,
        ...claims
      }
      const text = `${encoded(head)}.${encoded(body)}`
      return `${text}.${sign(null, Buffer.from(text), keyOf(head.kid).privateKey).toString('base64url')}`
    },
    async stop () {
      server.close()
      server.closeAllConnections()
    },
    async start () {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
      fake.url = `http://127.0.0.1:${port}`
    }
  }
  await fake.start()
  t.teardown(() => fake.stop())
  return fake
}
