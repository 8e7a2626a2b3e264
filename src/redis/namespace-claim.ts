import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { REDIS_START_MS } from '../timing/limits.js'
import { repeat } from '../timing/repeat.js'
import { redisKey } from './keys.js'
import type { RedisLink, RedisLog } from './link.js'

/** Lifetime of a claim after its process was killed, and interval at which a running process renews it. */
const CLAIM_MS = 180_000
const RENEW_MS = 60_000
/** Time between two looks at a start, and shortest time before a failed claim is tried again. */
const LOOK_MS = 10
const RETRY_MS = 1_000

/** Registers the process in the namespace, by Redis' clock. @returns all claims of the namespace */
const CLAIM = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)`
const RELEASE = "return redis.call('ZREM', KEYS[1], ARGV[1])"

/** Tables that a namespace belongs to. */
export interface Owner { database: string, schema: string, name: string }

interface Claim extends Owner { id: string, since: number }

/** Other tables use the namespace on this Redis. The message is one line for the operator. */
export class NamespaceTakenError extends Error {
  override readonly name = 'NamespaceTakenError'
}

export interface NamespaceClaim {
  /** The given link, which is down until the namespace is known to belong to this registration. */
  link: RedisLink
  /**
   * Claims the namespace. If Redis or PostgreSQL does not answer, the claim is made later, when both do.
   *
   * @param isDatabaseThere false if PostgreSQL is known not to answer
   * @throws {NamespaceTakenError} if a registration on other tables uses the namespace
   */
  start (isDatabaseThere: boolean): Promise<void>
  stop (): Promise<void>
}

export interface NamespaceClaimDeps {
  redis: RedisLink
  namespace: string
  /** Keys of the claims' MACs, the first one current. Without a MAC, a forged claim could prevent processes from starting. */
  macKeys: readonly Buffer[]
  /** Reads the tables of this registration. */
  ownerOf: () => Promise<Owner>
  log: RedisLog
}

/**
 * Claims a namespace on one Redis for one set of tables: with two sets, sessions that were verified in one would count in the
 * other. Each process claims the namespace for its tables. The later claim loses: at start that is an error, afterwards the
 * process continues without Redis.
 */
export function claimNamespace ({ redis, namespace, macKeys, ownerOf, log }: NamespaceClaimDeps): NamespaceClaim {
  if (redis.state === 'none') return { link: redis, start: async () => {}, stop: async () => {} }
  const key = redisKey(namespace, 'registrations', 'claims')
  const id = randomUUID()
  let owner: Owner | undefined
  let member: string | undefined
  let mine: Claim | undefined
  let isOurs = false
  let isStopped = false
  let saidOf: string | undefined
  let running: Promise<Claim | null | undefined> | undefined
  let triedAtMs = -Infinity
  let timer: NodeJS.Timeout | undefined

  const { sign, claimOf } = claimSigner(macKeys)

  /** @returns the claim that wins over this one; null if there is none, undefined if that is not known */
  async function ask (): Promise<Claim | null | undefined> {
    owner ??= await ownerOf()
    mine ??= { ...owner, id, since: performance.timeOrigin + performance.now() }
    member ??= sign(mine)
    const members = await redis.run((client) => client.eval(CLAIM, 1, key, member!, CLAIM_MS)) as string[] | undefined
    if (!Array.isArray(members)) return undefined
    const other = winnerOf(members.map(claimOf).filter((claim) => claim !== null), mine, isOurs)
    if (other !== undefined) await release()
    return other ?? null
  }

  async function release (): Promise<void> {
    if (member !== undefined) await redis.run((client) => client.eval(RELEASE, 1, key, member!))
  }

  async function claim (): Promise<Claim | null | undefined> {
    triedAtMs = performance.now()
    running ??= ask().finally(() => { running = undefined })
    const other = await running
    if (other !== undefined) isOurs = other === null
    return other
  }

  /** Renews the claim after the start: no request waits for it, and a fault is logged once. */
  async function renew (): Promise<void> {
    const other = await claim().catch(() => undefined)
    const fault = other ? faultOf(namespace, other) : undefined
    if (fault !== undefined && fault !== saidOf) log.error({}, `${fault}. Going on without Redis`)
    if (other !== undefined) saidOf = fault
  }

  /** Tries again after `RETRY_MS`. Waits for Redis, but not for PostgreSQL. */
  async function look (): Promise<void> {
    if (redis.state !== 'up' || isStopped) return
    if (running === undefined && performance.now() - triedAtMs < RETRY_MS) return
    const renewed = renew()
    if (owner !== undefined) await renewed
  }

  function schedule (): void {
    if (isStopped) return
    timer = setTimeout(() => { void renew().finally(schedule) }, RENEW_MS * (0.9 + 0.2 * Math.random())).unref()
  }

  return {
    link: ownedLink(redis, () => isOurs, look),
    async start (isDatabaseThere) {
      if (isDatabaseThere) {
        await repeat(async () => redis.state !== 'down', { tries: REDIS_START_MS / LOOK_MS, firstMs: LOOK_MS, holdsProcess: true })
      }
      const other = isDatabaseThere ? await claim().catch(() => undefined) : undefined
      if (other) throw new NamespaceTakenError(faultOf(namespace, other))
      if (other === undefined) {
        log.warn({ namespace }, 'whether the namespace is used by other tables on this Redis is not known until both stores answer')
      }
      schedule()
    },
    async stop () {
      isStopped = true
      clearTimeout(timer)
      await running?.catch(() => {})
      if (isOurs) await release()
      isOurs = false
    }
  }
}

/** Makes a link that is down while the namespace is not known to belong to this registration. @param look tries to claim it */
function ownedLink (redis: RedisLink, isOurs: () => boolean, look: () => Promise<void>): RedisLink {
  const isOwned = async () => {
    if (!isOurs()) await look()
    return isOurs()
  }
  return {
    get state () { return isOurs() ? redis.state : 'down' },
    run: async (command) => await isOwned() ? await redis.run(command) : undefined,
    write: async (command) => await isOwned() ? await redis.write(command) : undefined,
    subscribe: (channel, onMessage) => { redis.subscribe(channel, onMessage) },
    unsubscribe: (channel) => { redis.unsubscribe(channel) },
    close: () => redis.close()
  }
}

/** Signs claims, and reads those that a process with one of the keys has signed. */
function claimSigner (macKeys: readonly Buffer[]) {
  const mac = (macKey: Buffer, body: string) => createHmac('sha256', macKey).update(body).digest()
  const isGenuine = (body: string, given: Buffer) => macKeys.some((macKey) => {
    const expected = mac(macKey, body)
    return given.length === expected.length && timingSafeEqual(expected, given)
  })

  /** Returns null for a claim signed by other keys: cache entries of that process have other MACs, so they are ignored here. */
  function claimOf (text: string): Claim | null {
    const [given = '', ...rest] = text.split('.')
    const body = rest.join('.')
    return isGenuine(body, Buffer.from(given, 'base64url')) ? JSON.parse(body) as Claim : null
  }

  return {
    sign (claim: Claim): string {
      const body = JSON.stringify(claim)
      return `${mac(macKeys[0]!, body).toString('base64url')}.${body}`
    },
    claimOf
  }
}

const faultOf = (namespace: string, { name, schema }: Claim) =>
  `countersign: the namespace "${namespace}" is used on this Redis by the tables of the database "${name}", ` +
  `schema "${schema}": give each its own "namespace", or its own Redis or database number of it ` +
  '(the claim of a process that was killed counts for three minutes)'

/**
 * Returns the claim of other tables that wins. A new claim loses to any other. Of two older claims, after Redis lost its data,
 * the later one loses.
 */
function winnerOf (claims: readonly Claim[], { database, schema, since, id }: Claim, isOurs: boolean): Claim | undefined {
  const others = claims.filter((claim) => claim.database !== database || claim.schema !== schema)
  return isOurs ? others.find((claim) => claim.since < since || (claim.since === since && claim.id < id)) : others[0]
}
