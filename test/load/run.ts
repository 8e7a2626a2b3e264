/**
 * `npm run load`: the most frequent operations under load, each with its own users, against the service in its own
 * process. Prints a table; exits with 1 if a request was refused, failed or took over ten seconds.
 *
 *   npm run load -- --seconds 10 --connections 10 --stores embedded|given|found
 *
 * `given` uses DATABASE_URL and REDIS_URL (in a new database, which is dropped at the end) and is the default if one is
 * set; `found` also uses servers that answer on this machine; `embedded` uses neither. Use the figures to compare two
 * versions on one machine: the generator takes its share of the same cores.
 */
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import type { Tokens } from '../../plugins/tokens.js'
import { readConfig } from '../../src/config/config.js'
import { createSeal } from '../../src/core/keys/seal.js'
import { createHasher } from '../../src/accounts/hasher.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { startServer } from '../helpers/server-process.js'
import { signer } from '../helpers/signer.js'
import { findStores, type Stores } from '../helpers/stores.js'
import { createOwner, type Owner } from '../helpers/teardown.js'
import { makePlace, withDatabase } from './place.js'
import { putStock, type Stock } from './stock.js'

/** Single-use items that are prepared per second. A faster service ends the run sooner. */
const VERIFICATIONS_PER_SECOND = 2_000
const REFRESHES_PER_SECOND = 3_000
const GUARDED_SESSIONS = 1_000
const PEOPLE = 100
const PASSWORD = 'a password for the load test'
/** The namespace in `buildApp`, for which secrets are sealed. */
const NAMESPACE = 'countersign'

interface Options { seconds: number, connections: number, stores: Stores }

/** @throws for an unknown option */
async function readOptions (args: string[], env: NodeJS.ProcessEnv): Promise<Options> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '10' },
      connections: { type: 'string', default: '10' },
      stores: { type: 'string', default: env['DATABASE_URL'] || env['REDIS_URL'] ? 'given' : 'embedded' }
    }
  })
  return {
    seconds: whole('seconds', values.seconds),
    connections: whole('connections', values.connections),
    stores: await storesOf(values.stores, env)
  }
}

function whole (name: string, text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new Error(`--${name} must be a whole number from 1 to 9999.`)
  return Number(text)
}

async function storesOf (choice: string, { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, ...env }: NodeJS.ProcessEnv): Promise<Stores> {
  const given = { ...(databaseUrl ? { databaseUrl } : {}), ...(redisUrl ? { redisUrl } : {}) }
  switch (choice) {
    case 'embedded': return {}
    case 'given': return given
    case 'found': return { ...await findStores(env), ...given }
    default: throw new Error('--stores must be embedded, given or found.')
  }
}

interface Scenario {
  name: string
  method: 'GET' | 'POST'
  path: string
  /** Maximum number of requests; undefined if their data can be used again. */
  most?: number
  next: () => { headers: Record<string, string>, body?: string }
}

const JSON_BODY = { 'content-type': 'application/json' }
const bearer = (access: string) => ({ authorization: `Bearer ${access}` })

function scenarios ({ guarded, people, verifications, refreshes, aheadMs }: Stock, { issue }: Tokens): Scenario[] {
  const access = round(guarded.map((session) => issue(session).access))
  const username = round(people)
  const verification = once(verifications)
  const refreshing = once(refreshes)
  return [
    { name: 'GET /session', method: 'GET', path: '/session', next: () => ({ headers: bearer(access()) }) },
    {
      name: 'POST /token',
      method: 'POST',
      path: '/token',
      next: () => ({ headers: JSON_BODY, body: JSON.stringify({ username: username(), password: PASSWORD }) })
    },
    {
      name: 'POST /totp/login',
      method: 'POST',
      path: '/totp/login',
      most: verifications.length,
      next () {
        const { session, secret } = verification()
        const token = totp(secret, stepAt(new Date(Date.now() + aheadMs)))
        return { headers: { ...JSON_BODY, ...bearer(issue(session).access) }, body: JSON.stringify({ token }) }
      }
    },
    {
      name: 'POST /token/refresh',
      method: 'POST',
      path: '/token/refresh',
      most: refreshes.length,
      next: () => ({ headers: JSON_BODY, body: JSON.stringify({ refresh: issue(refreshing()).refresh }) })
    }
  ]
}

function round<T> (items: readonly T[]): () => T {
  let i = 0
  return () => items[i++ % items.length]!
}

function once<T> (items: readonly T[]): () => T {
  let i = 0
  return () => {
    const item = items[i++]
    if (item === undefined) throw new Error('The load test has used up what it had prepared')
    return item
  }
}

interface Measured { name: string, requests: number, seconds: number, p50: number, p99: number, errors: number, statuses: string[] }

async function measure (url: string, { name, method, path, most, next }: Scenario, { seconds, connections }: Options): Promise<Measured> {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    sampleInt: 100,
    // autocannon builds each connection's first request twice.
    ...(most === undefined ? {} : { maxOverallRequests: most - connections }),
    requests: [{ method, path, setupRequest: (request: object) => ({ ...request, ...next() }) } as autocannon.Request]
  })
  return {
    name,
    requests: result['2xx'] + result.non2xx,
    seconds: result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    // autocannon's `errors` includes the time-outs.
    errors: result.non2xx + result.errors,
    statuses: Object.keys(result.statusCodeStats ?? {}).filter((status) => !status.startsWith('2'))
  }
}

const columns = ['scenario', 'requests', 'seconds', 'req/s', 'p50 ms', 'p99 ms', 'errors'] as const
const line = ([first, ...others]: readonly string[]) => first!.padEnd(22) + others.map((text) => text.padStart(10)).join('')
const row = ({ name, requests, seconds, p50, p99, errors, statuses }: Measured) =>
  line(
    [name, String(requests), seconds.toFixed(1), (requests / seconds).toFixed(0), String(p50), String(p99), String(errors)]
  ) + statuses.map((status) => ` ${status}`).join('')

/** @returns whether every answer was correct */
async function main (owner: Owner, options: Options): Promise<boolean> {
  const { seconds, connections, stores } = options
  console.log(
    `${stores.databaseUrl ? 'PostgreSQL' : 'embedded Postgres'}, ${stores.redisUrl ? 'Redis' : 'no Redis'}, ` +
    `${connections} connections, ${seconds} s each`
  )
  const settings = await makePlace(owner, stores)
  const config = readConfig(settings)
  const hasher = await createHasher()
  const passwordHash = await hasher.hash(PASSWORD)
  const stock = await withDatabase(settings, (db) => putStock(db, createSeal(config.sealKeys!, NAMESPACE), passwordHash, {
    guarded: GUARDED_SESSIONS,
    people: Math.max(PEOPLE, connections),
    verifications: seconds * VERIFICATIONS_PER_SECOND + 2 * connections,
    refreshes: seconds * REFRESHES_PER_SECOND + 2 * connections
  }))
  const issuing = await signer(config)
  const service = startServer(owner, settings)
  const url = await service.ready()
  console.log(line(columns))
  let isClean = true
  for (const scenario of scenarios(stock, issuing)) {
    const measured = await measure(url, scenario, options)
    console.log(row(measured))
    isClean &&= measured.errors === 0 && measured.requests > 0
  }
  if (!isClean) console.error(service.said())
  return isClean
}

const owner = createOwner()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => { void owner.end().finally(() => process.exit(1)) })
}

try {
  const isClean = await main(owner, await readOptions(process.argv.slice(2), process.env))
  if (!isClean) process.exitCode = 1
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await owner.end()
}
