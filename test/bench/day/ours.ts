/** A fleet of our own service, of this revision or another one, with people who have a password and a device. */
import pg from 'pg'
import { stepAt, totp } from '../../helpers/authenticator.js'
import { call } from '../../helpers/http-client.js'
import { startRedisServer } from '../../helpers/redis-server.js'
import type { Owner } from '../../helpers/teardown.js'
import { PASSWORD, type Stage } from '../stage.js'
import type { Fleet } from './fleet.js'
import type { Life } from './life.js'

/** As in production: the limits per network are on, and a proxy in front names the client. Tokens live as long as by default. */
const AS_IN_PRODUCTION = { NETWORK_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', ACCESS_SECONDS: '300' }

type Source = Pick<Stage, 'put' | 'service' | 'settings'>

export async function ourFleet (owner: Owner, name: string, stage: Source, replicas: number, people: number): Promise<Fleet> {
  const redis = await startRedisServer(owner)
  const databaseUrl = stage.settings['DATABASE_URL']!
  const { people: usernames, verifications, aheadMs } = await stage.put({ people, verifications: people })
  await giveDevices(databaseUrl, usernames, verifications.map(({ session }) => session.userId))
  const processes = []
  for (let i = 0; i < replicas; i++) processes.push(await stage.service({ ...AS_IN_PRODUCTION, REDIS_URL: redis.url }))
  return {
    name,
    processes,
    databaseUrl,
    redis,
    lives: usernames.map((username, i) => life(username, verifications[i]!.secret, aheadMs, addressOf(i)))
  }
}

/** Makes each account the one of a user who has a device. */
async function giveDevices (databaseUrl: string, usernames: readonly string[], userIds: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(
    `update account set id = given.user_id from unnest($1::text[], $2::uuid[]) as given (username, user_id)
      where account.username = given.username`, [usernames, userIds]
  )
  await client.end()
}

/** Each person has an address of their own. */
export const addressOf = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`

/** @param secret of the device */
export function life (username: string, secret: Buffer, aheadMs: number, address: string): Life {
  let access = ''
  let refresh = ''
  const headers = { 'x-forwarded-for': address }

  async function ask (base: string, method: string, path: string, status: number, body?: object): Promise<void> {
    const answer = await call(base, method, path, {
      access: path === '/token' ? null : access, headers, ...(body === undefined ? {} : { body })
    })
    if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    if (!answer.text.includes('"refresh"')) return
    ({ access, refresh } = answer.json())
  }
  return {
    logIn: (base) => ask(base, 'POST', '/token', 200, { username, password: PASSWORD }),
    giveCode: (base) => ask(base, 'POST', '/totp/login', 200, { token: totp(secret, stepAt(new Date(Date.now() + aheadMs))) }),
    guarded: (base) => ask(base, 'GET', '/session', 200),
    refresh: (base) => ask(base, 'POST', '/token/refresh', 200, { refresh }),
    logOut: (base) => ask(base, 'POST', '/token/revoke', 204)
  }
}
