import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { redisKey } from './keys.js'
import type { RedisLink, RedisLog } from './link.js'

/** For how long a process that was stopped without closing keeps its claim, and how often one that runs renews it. */
const CLAIM_MS = 180_000
const RENEW_MS = 60_000
/** How long a start waits for Redis, and how soon a claim that failed is tried again. */
const PATIENCE_MS = 500
const LOOK_MS = 10
const RETRY_MS = 1_000

/** Registers the process beside the others of the namespace, by Redis' clock. @returns all of them */
const CLAIM = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)`
const RELEASE = "return redis.call('ZREM', KEYS[1], ARGV[1])"

/** The tables that a namespace belongs to. */
export interface Owner { database: string, schema: string, name: string }

interface Claim extends Owner { id: string, since: number }

export interface NamespaceClaim {
  /** The given link, which is down until the namespace is known to be this registration's. */
  link: RedisLink
  /**
   * Claims the namespace. Where Redis or PostgreSQL does not answer, that is done when they do.
   *
   * @param isDatabaseThere false where PostgreSQL is known not to answer
   * @throws {Error} if a registration on other tables uses the namespace
   */
  start (isDatabaseThere: boolean): Promise<void>
  stop (): Promise<void>
}

export interface NamespaceClaimDeps {
  redis: RedisLink
  namespace: string
  /** Keys of the claims' MACs, the first one current: a claim that anybody can write would keep processes from starting. */
  macKeys: readonly Buffer[]
  /** Reads which tables this registration has. */
  ownerOf: () => Promise<Owner>
  log: RedisLog
}

/**
 * One namespace on one Redis belongs to one set of tables: with two, sessions that were verified in one would be taken for
 * those of the other. Each process claims it for its tables. The claim that came later gives way: at start it is an error,
 * afterwards the process goes on without Redis.
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

  const mac = (macKey: Buffer, body: string) => createHmac('sha256', macKey).update(body).digest()
  const isGenuine = (body: string, given: Buffer) => macKeys.some((macKey) => {
    const expected = mac(macKey, body)
    return given.length === expected.length && timingSafeEqual(expected, given)
  })

  /** Null for one that other keys signed: its entries in Redis have other MACs, so that they are not taken for ours. */
  function claimOf (text: string): Claim | null {
    const [given = '', ...rest] = text.split('.')
    const body = rest.join('.')
    return isGenuine(body, Buffer.from(given, 'base64url')) ? JSON.parse(body) as Claim : null
  }

  /** @returns the claim that goes before this one, null if there is none, undefined where that is not known */
  async function ask (): Promise<Claim | null | undefined> {
    owner ??= await ownerOf()
    mine ??= { ...owner, id, since: performance.timeOrigin + performance.now() }
    const body = JSON.stringify(mine)
    member ??= `${mac(macKeys[0]!, body).toString('base64url')}.${body}`
    const members = await redis.run((client) => client.eval(CLAIM, 1, key, member!, CLAIM_MS)) as string[] | undefined
    if (!Array.isArray(members)) return undefined
    const { database, schema, since } = mine
    const others = members.map(claimOf).filter((claim) => claim !== null && (claim.database !== database || claim.schema !== schema)) as Claim[]
    // A new claim gives way to any. Of two that were made while Redis forgot them, the later one.
    const other = isOurs ? others.find((claim) => claim.since < since || (claim.since === since && claim.id < id)) : others[0]
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

  const faultOf = ({ name, schema }: Claim) => `countersign: the namespace "${namespace}" is used on this Redis by the tables of the database "${name}", ` +
    `schema "${schema}": give each its own "namespace", or its own Redis (the claim of a process that was killed counts for three minutes)`

  /** Afterwards: nothing waits for it, and it is said once. */
  async function renew (): Promise<void> {
    const other = await claim().catch(() => undefined)
    const fault = other ? faultOf(other) : undefined
    if (fault !== undefined && fault !== saidOf) log.error({}, `${fault}. Going on without Redis`)
    if (other !== undefined) saidOf = fault
  }

  /** Tries again, now and then. Redis is waited for, PostgreSQL is not. */
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
    link: {
      get state () { return isOurs ? redis.state : 'down' },
      async run (command) {
        if (!isOurs) await look()
        return isOurs ? await redis.run(command) : undefined
      },
      subscribe: (channel, onMessage) => { redis.subscribe(channel, onMessage) },
      close: () => redis.close()
    },
    async start (isDatabaseThere) {
      const patienceMs = isDatabaseThere ? PATIENCE_MS : 0
      for (let waitedMs = 0; redis.state === 'down' && waitedMs < patienceMs; waitedMs += LOOK_MS) await delay(LOOK_MS)
      const other = isDatabaseThere ? await claim().catch(() => undefined) : undefined
      if (other) throw new Error(faultOf(other))
      if (other === undefined) log.warn({ namespace }, 'whether the namespace is used by other tables on this Redis is not known until both stores answer')
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
