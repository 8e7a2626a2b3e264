/** A fleet of the peer, better-auth on Fastify (test/bench/peers/better-auth). Its people share a password and a secret, sealed once. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp } from 'node:fs/promises'
import pg from 'pg'
import { secretOf, stepAt, totp } from '../../helpers/authenticator.js'
import { emptyDatabase } from '../../helpers/database.js'
import { startNode } from '../../helpers/node-process.js'
import { startRedisServer } from '../../helpers/redis-server.js'
import type { Stores } from '../../helpers/stores.js'
import type { Owner } from '../../helpers/teardown.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'
import { visitorAt } from '../../hosts/visitor.js'
import { HEAD_END } from '../generator.js'
import { requester, supply, type Contestant, type Process } from '../contest.js'
import { PASSWORD } from '../stage.js'
import type { Fleet } from '../day/fleet.js'
import type { Life } from '../day/life.js'
import { addressOf } from '../day/ours.js'

const BASE_URL = 'http://localhost'

export async function betterAuthFleet (
  owner: Owner, { databaseUrl: server }: Stores, replicas: number, people: number
): Promise<Fleet> {
  const folder = await temporaryFolder(owner)
  await cp('test/bench/peers/better-auth', folder, { recursive: true })
  execFileSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] })
  const databaseUrl = await emptyDatabase(owner, server!)
  const redis = await startRedisServer(owner)
  const settings = {
    DATABASE_URL: databaseUrl, REDIS_URL: redis.url, AUTH_SECRET: randomBytes(32).toString('hex'), BASE_URL, NODE_ENV: 'production'
  }
  const processes: Process[] = []
  for (let i = 0; i < replicas; i++) {
    const { child, saying } = startNode(owner, ['server.js'], settings, folder)
    processes.push({ port: Number(await saying(/listening on (\d+)/, 'the peer to listen')), pid: child.pid! })
  }
  const secret = await signUp(`http://127.0.0.1:${processes[0]!.port}`)
  await copyPeople(databaseUrl, people)
  return {
    name: 'better-auth 1.7.25',
    processes,
    databaseUrl,
    redis,
    lives: Array.from({ length: people }, (_, i) => life(i, secret))
  }
}

async function expect (status: number, asked: Promise<{ status: number, text: string, json: any }>): Promise<any> {
  const answer = await asked
  if (answer.status !== status) throw new Error(`${answer.status} ${answer.text}`)
  return answer.json
}

/** Signs up the first person, with a device. @returns the secret */
async function signUp (base: string): Promise<Buffer> {
  const visitor = visitorAt([base], { origin: BASE_URL })
  await expect(200, visitor.ask('POST', '/api/auth/sign-up/email', { name: 'First', email: 'first@example.org', password: PASSWORD }))
  const { totpURI } = await expect(200, visitor.ask('POST', '/api/auth/two-factor/enable', { password: PASSWORD }))
  const secret = secretOf(totpURI)
  await expect(200, visitor.ask('POST', '/api/auth/two-factor/verify-totp', { code: totp(secret, stepAt(new Date())) }))
  return secret
}

/** Copies the rows of the first person: hash and secret are bound to no user. */
async function copyPeople (databaseUrl: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(`insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", "twoFactorEnabled")
    select 'person-' || i, name, 'person-' || i || '@example.org', "emailVerified", "createdAt", "updatedAt", "twoFactorEnabled"
    from "user", generate_series(0, $1 - 1) as i where email = 'first@example.org'`, [count])
  await client.query(`insert into account (id, "accountId", "providerId", "userId", password, "createdAt", "updatedAt")
    select 'account-' || i, 'person-' || i, "providerId", 'person-' || i, password, "createdAt", "updatedAt"
    from account, generate_series(0, $1 - 1) as i`, [count])
  await client.query(`insert into "twoFactor" (id, secret, "backupCodes", "userId", verified)
    select 'factor-' || i, secret, "backupCodes", 'person-' || i, verified
    from "twoFactor", generate_series(0, $1 - 1) as i`, [count])
  await client.query('analyze')
  await client.end()
}

/** Logs all people in. @returns a guarded request of each */
export async function loggedIn ({ lives, processes }: Fleet): Promise<Buffer[]> {
  const base = `http://127.0.0.1:${processes[0]!.port}`
  const requests: Buffer[] = []
  for (const one of lives as BetterAuthLife[]) {
    await one.logIn(base)
    await one.giveCode(base)
    requests.push(Buffer.from(`GET /session HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: ${one.cookie()}${HEAD_END}`))
  }
  return requests
}

/** Accepted codes, after a log-in by password that is not measured. */
export function verifyingAt ({ name, processes, lives }: Fleet, times: number): Contestant {
  const [process] = processes as [Process]
  const base = `http://127.0.0.1:${process.port}`
  const { next, nextPortion } = supply(lives as BetterAuthLife[], times)
  return requester(`${name}, verify-totp`, process, () => next().codeRequest(), {
    times,
    async prepare () {
      for (const life of nextPortion()) await life.logIn(base)
    }
  })
}

interface BetterAuthLife extends Life {
  cookie (): string | undefined
  codeRequest (): Buffer
}

function life (i: number, secret: Buffer): BetterAuthLife {
  let cookie: string | undefined
  const headers = { 'content-type': 'application/json', origin: BASE_URL, 'x-forwarded-for': addressOf(i) }

  async function ask (base: string, method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(base + path, {
      method,
      headers: { ...headers, ...(cookie === undefined ? {} : { cookie }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`)
    const given = answer.headers.getSetCookie().map((line) => line.split(';')[0]!).filter((line) => !line.endsWith('='))
    if (given.length > 0) cookie = given.join('; ')
  }
  return {
    logIn: (base) => ask(base, 'POST', '/api/auth/sign-in/email', { email: `person-${i}@example.org`, password: PASSWORD }),
    giveCode: (base) => ask(base, 'POST', '/api/auth/two-factor/verify-totp', { code: totp(secret, stepAt(new Date())) }),
    guarded: (base) => ask(base, 'GET', '/session'),
    logOut: (base) => ask(base, 'POST', '/api/auth/sign-out', {}),
    cookie: () => cookie,
    codeRequest () {
      const body = JSON.stringify({ code: totp(secret, stepAt(new Date())) })
      const lines = Object.entries({ ...headers, cookie, 'content-length': body.length }).map(([key, value]) => `${key}: ${value}\r\n`)
      return Buffer.from(`POST /api/auth/two-factor/verify-totp HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}\r\n${body}`)
    }
  }
}
