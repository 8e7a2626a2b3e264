/**
 * Connects to each address of its argument, as the service does, and prints what it came to, in JSON. A process of its own, since
 * Node reads NODE_EXTRA_CA_CERTS at its start.
 */
import { connectFirst, serversOf } from '../../src/postgres/connect.js'
import { asUnusable, UnusableDatabaseError } from '../../src/postgres/unusable.js'
import { connectRedis } from '../../src/redis/connect.js'
import { until } from './wait.js'

const CONNECT_MS = 10_000
const MUTE_MS = 5_000
/** Reasons of a connection that TLS did not come about. */
const TLS_FAULT = /certificate|altnames|SSL|wrong version|EPROTO|packet length|disconnected before secure/i

async function tryPostgres (url: string): Promise<string> {
  try {
    const client = await connectFirst(serversOf(url), { connectionTimeoutMillis: CONNECT_MS })
    const { rows: [answer] } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    await client.end()
    return answer!.ssl ? 'TLS' : 'plain'
  } catch (error) {
    // The service says so in one line and ends.
    return asUnusable(error) instanceof UnusableDatabaseError ? 'refused' : String(error)
  }
}

async function tryRedis (url: string): Promise<string> {
  const reasons: string[] = []
  const warn = (details: object) => { reasons.push((details as { reason?: string }).reason ?? '') }
  const link = connectRedis(url, { info () {}, warn, error: warn })
  const isTls = url.startsWith('rediss:')
  const isDown = () => isTls ? reasons.some((reason) => TLS_FAULT.test(reason)) : reasons.length > 0
  // A server without TLS waits for the end of what it takes for a command.
  await until('an answer of Redis', () => link.state === 'up' || isDown(), MUTE_MS).catch(() => {})
  const result = link.state === 'down' ? 'none' : isTls ? 'TLS' : 'plain'
  await link.close()
  return result
}

const urls = JSON.parse(process.argv[2]!) as string[]
const results = await Promise.all(urls.map((url) => url.startsWith('postgres') ? tryPostgres(url) : tryRedis(url)))
console.log(JSON.stringify(results))
