/**
 * Cost of `countersign/client`: `npx tsc && node build/test/bench/client.js`. With `npm install --no-save jose`, it also measures
 * `jwtVerify` of jose. CPU is that of this process, as the kernel counts it; the service runs in another one.
 */
import { fork } from 'node:child_process'
import { generateKeyPairSync, randomBytes, randomUUID, sign, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../../src/client/index.js'

const ENDS_PER_SECOND = 10_000
const FOLLOW_MS = 20_000
const TOKENS = 3_000
const ROUNDS = 300_000
const KEEP_SECONDS = 360

interface Started { port: number, tokens: string[], jwk: JsonWebKey }

/** Serves keys and a stream of ends, four lines a second, in a process of its own. */
async function serveEnds (): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'EdDSA', use: 'sig' }
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const tokens = Array.from({ length: TOKENS }, () => {
    const text = `${encoded({ alg: 'EdDSA', typ: 'at+jwt', kid: 'one' })}.${encoded({
      iss: 'countersign',
      aud: 'countersign',
      sub: randomUUID(),
      sid: randomUUID(),
      jti: randomBytes(16).toString('base64url'),
      iat: now,
      exp: now + 300,
      token_type: 'access',
      auth_time: now,
      amr: ['pwd', 'otp', 'mfa'],
      otp_required: true,
      otp_device_id: randomUUID(),
      otp_time: now
    })}`
    return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
  })
  const server = createServer((request, reply) => {
    if (request.url === '/.well-known/jwks.json') {
      reply.end(JSON.stringify({ keys: [jwk] }))
      return
    }
    const isBusy = request.headers.authorization === 'Bearer busy'
    const arrivedAtMs = performance.now()
    const write = (): void => {
      const ids = Array.from({ length: isBusy ? ENDS_PER_SECOND / 4 : 0 }, () => randomBytes(16).toString('base64url'))
      const ms = performance.now() - arrivedAtMs
      const facts = { ms, age: 100, time: Date.now(), keep: KEEP_SECONDS, full: true, more: false, cursor: 'c', ids, marks: [] }
      reply.write(`${JSON.stringify(facts)}\n`)
    }
    write()
    const timer = setInterval(write, 250)
    reply.once('close', () => { clearInterval(timer) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send!({ port: (server.address() as AddressInfo).port, tokens, jwk } satisfies Started)
}

/** Returns the microseconds of CPU for each of some calls. */
async function costUs (count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    await call(i)
    // The client reads its lines meanwhile.
    if (i % 500 === 0) await immediate()
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

async function measure (): Promise<void> {
  const service = fork(process.argv[1]!, ['service'])
  const [{ port, tokens, jwk }] = await once(service, 'message') as [Started]
  const url = `http://127.0.0.1:${port}`
  const client = createClient({ url, key: 'idle', onStale: 'refuse' })
  await client.ready()
  const first = await costUs(TOKENS, (i) => client.verify(tokens[i]!, { maxAge: 600 }))
  const again = await costUs(ROUNDS, (i) => client.verify(tokens[i % TOKENS]!, { maxAge: 600 }))
  console.log(`the first time a token is verified: ${first.toFixed(1)} µs; again: ${again.toFixed(2)} µs`)
  const name = 'jose'
  const jose = await import(name).catch(() => null)
  if (jose !== null) {
    const key = await jose.importJWK(jwk, 'EdDSA')
    const options = { issuer: 'countersign', audience: 'countersign', typ: 'at+jwt', algorithms: ['EdDSA'] }
    const theirs = await costUs(TOKENS, (i) => jose.jwtVerify(tokens[i]!, key, options))
    console.log(`jwtVerify of jose: ${theirs.toFixed(1)} µs; the first time takes ${(first / theirs).toFixed(2)} of it`)
  }
  const before = process.cpuUsage()
  await delay(FOLLOW_MS)
  const idle = process.cpuUsage(before)
  client.close()

  const busy = createClient({ url, key: 'busy', onStale: 'refuse' })
  await busy.ready()
  const beforeBusy = process.cpuUsage()
  await delay(FOLLOW_MS)
  const { user, system } = process.cpuUsage(beforeBusy)
  const share = (us: number) => `${(us / FOLLOW_MS / 10).toFixed(2)} %`
  console.log(`a core's share that following takes: nothing new ${share(idle.user + idle.system)}; ` +
    `${ENDS_PER_SECOND} ends a second ${share(user + system)}; memory ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`)
  busy.close()
  service.kill()
}

if (process.argv[2] === 'service') await serveEnds()
else await measure()
