import { once } from 'node:events'
import type { RedisClient } from './client.js'
import { isMistake, opensBreaker, plainMessage, replyCode } from './faults.js'
import { REDIS_COMMAND_MS } from '../timing/limits.js'
import { answerInTime, MUTE } from './in-time.js'
import { CLUSTER_LIMITS, CONNECTION_LIMITS, PROBE_DOWN_MS, PROBE_UP_MS, SERVER_LIMITS } from './limits.js'
import { subscriptions } from './subscriptions.js'

const NOT_CONNECTED = 'not connected'

/**
 * Keys of the probe. It is a write, because a read-only replica, or a server with paused writes, answers PING. It is a DEL of a
 * missing key, because that takes no memory and leaves no data. Sixteen keys reach every master of a cluster.
 */
const PROBE_KEYS = Array.from({ length: 16 }, (_, i) => `countersign:probe:${i}`)

/** `'none'`: not configured; callers treat it as `'down'`. */
export type RedisState = 'none' | 'up' | 'down'

/** Part of pino's interface that is used. */
export interface RedisLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

export interface RedisLink {
  readonly state: RedisState
  /**
   * Runs one command, or several with `Promise.all` (they are sent together; an explicit pipeline would hide its errors).
   * Returns undefined at once while Redis is known to be down. Never throws, never takes longer than REDIS_COMMAND_MS.
   * Undefined does not mean "not done": a command that timed out may still be executed.
   */
  run<T> (command: (client: RedisClient) => Promise<T>): Promise<T | undefined>
  /**
   * Runs one command that writes, and that no request waits for. It has no timer of its own: without an answer, the probe opens the
   * breaker, and the connection ends it. An answer takes the place of the next probe.
   */
  write<T> (command: (client: RedisClient) => Promise<T>): Promise<T | undefined>
  /** Delivers messages of a channel. Subscribes again after each reconnection; messages in between are lost. */
  subscribe (channel: string, onMessage: (message: string) => void): void
  unsubscribe (channel: string): void
  close (): Promise<void>
}

/** Link without REDIS_URL: like `'down'`, for ever. */
export const noRedis: RedisLink = {
  state: 'none',
  run: async () => undefined,
  write: async () => undefined,
  subscribe () {},
  unsubscribe () {},
  async close () {}
}

/** Makes a link of a host's client, with the host's options; never closes it. Subscriptions get a connection of their own. */
export function adoptRedis (client: RedisClient, log: RedisLog): RedisLink {
  return watch(client, log, false)
}

/** Opens the connection for subscriptions, with our limits. `isCluster`, not `instanceof`: a host may have another copy of ioredis. */
function listenerOf (client: RedisClient): RedisClient {
  const duplicate = client.duplicate.bind(client) as (...options: unknown[]) => RedisClient
  return client.isCluster
    ? duplicate([], { ...CLUSTER_LIMITS, redisOptions: CONNECTION_LIMITS })
    : duplicate(SERVER_LIMITS)
}

interface Attempt<T> { value?: T, fault?: string }

/** Tries commands, and logs their faults, each kind once between two outages. */
function attemptsOf (client: RedisClient, log: RedisLog) {
  const complaints = new Set<string>()

  /** Tries a command. `fault` is the reason to open the breaker. */
  async function attempt<T> (command: (client: RedisClient) => Promise<T>, inTime = answerInTime<T>): Promise<Attempt<T>> {
    try {
      const value = await inTime(command(client))
      return value === MUTE ? { fault: `no answer within ${REDIS_COMMAND_MS} ms` } : { value }
    } catch (error) {
      if (!isMistake(error) && opensBreaker(error, client.isCluster)) return { fault: plainMessage(error) }
      complain(error)
      return {}
    }
  }

  function complain (error: unknown): void {
    const kind = replyCode(error) ?? plainMessage(error).split('.', 1)[0] ?? ''
    if (complaints.has(kind)) return
    complaints.add(kind)
    if (isMistake(error)) log.error({ err: error }, 'A Redis command is written wrong')
    else log.warn({ reason: plainMessage(error) }, 'Redis did not do a command')
  }

  return { attempt, clear: () => { complaints.clear() } }
}

interface Breaker { isUp (): boolean, outages (): number, fall (reason: string): void }

/** Runs commands while the breaker is closed, and opens it. */
function commandsOf (attempt: ReturnType<typeof attemptsOf>['attempt'], { isUp, outages, fall }: Breaker) {
  /** Time of the newest answer to a write that came in time. */
  let wroteAtMs = -Infinity

  /** @param attempted a command that was sent just now */
  async function valueOf<T> (attempted: Promise<Attempt<T>>): Promise<T | undefined> {
    const sentDuring = outages()
    const { value, fault } = await attempted
    if (fault !== undefined && sentDuring === outages()) fall(fault)
    return value
  }

  return {
    run: async <T>(command: (client: RedisClient) => Promise<T>) => isUp() ? await valueOf(attempt(command)) : undefined,
    async write<T> (command: (client: RedisClient) => Promise<T>): Promise<T | undefined> {
      if (!isUp()) return undefined
      const sentAtMs = performance.now()
      const value = await valueOf(attempt(command, async (answer) => await answer))
      if (value !== undefined && performance.now() - sentAtMs < REDIS_COMMAND_MS) wroteAtMs = performance.now()
      return value
    },
    wroteAtMs: () => wroteAtMs
  }
}

/**
 * Makes a link with a circuit breaker. It opens when a command gets no answer in time, when the connection is lost, and on
 * replies of `faults.ts`. Then no request waits for Redis, until a probe in the background closes the breaker.
 */
export function watch (client: RedisClient, log: RedisLog, isOurs: boolean): RedisLink {
  let state: RedisState = 'down'
  /** Counts outages: a command sent before one must not open the breaker after it. */
  let outages = 0
  let isClosed = false
  let isAsking = false
  let lastError = NOT_CONNECTED
  let timer: NodeJS.Timeout | undefined
  const { attempt, clear } = attemptsOf(client, log)
  const commands = commandsOf(attempt, { isUp: () => state === 'up', outages: () => outages, fall })
  const listening = subscriptions(() => listenerOf(client), log)

  function rise (): void {
    if (isClosed || state === 'up') return
    state = 'up'
    clear()
    log.info({}, 'Redis is up')
    if (isOurs) void warnOfEviction(client, log)
  }

  function fall (reason: string): void {
    if (isClosed || (state === 'down' && outages > 0)) return
    state = 'down'
    outages += 1
    log.warn({ reason }, 'Redis is down: working without it')
    schedule()
  }

  /** Runs the probe once, sets the state, and schedules the next probe. */
  async function ask (): Promise<void> {
    if (isAsking) return
    // A write was answered in place of the probe. In a cluster, it says nothing about the other masters.
    const isKnown = state === 'up' && !client.isCluster && performance.now() - commands.wroteAtMs() < PROBE_UP_MS
    if (!isKnown) {
      isAsking = true
      const fault = client.status === 'ready' ? await faultOf() : lastError
      isAsking = false
      if (fault === undefined) rise()
      else fall(fault)
    }
    listening.keepAlive()
    schedule()
  }

  async function faultOf (): Promise<string | undefined> {
    const keys = client.isCluster ? PROBE_KEYS : PROBE_KEYS.slice(0, 1)
    const answers = await Promise.all(keys.map((key) => attempt((to) => to.del(key))))
    return answers.find((answer) => answer.fault !== undefined)?.fault
  }

  function schedule (): void {
    clearTimeout(timer)
    if (isClosed) return
    const everyMs = state === 'up' ? PROBE_UP_MS : PROBE_DOWN_MS
    timer = setTimeout(ask, everyMs * (0.9 + 0.2 * Math.random())).unref()
  }

  const listeners = {
    ready () {
      lastError = 'connection closed'
      void ask()
    },
    error (error: Error) { lastError = plainMessage(error) },
    close () { fall(lastError) }
  }
  for (const [event, listener] of Object.entries(listeners)) client.on(event, listener)
  if (client.status === 'wait') client.connect().catch(() => {})
  if (client.status === 'ready') void ask()
  else schedule()

  return {
    get state () { return state },
    run: commands.run,
    write: commands.write,
    subscribe: listening.add,
    unsubscribe: listening.remove,
    async close () {
      isClosed = true
      state = 'down'
      clearTimeout(timer)
      listening.close()
      for (const [event, listener] of Object.entries(listeners)) client.off(event, listener)
      if (isOurs) await disconnect(client)
    }
  }
}

/** Closes our connection; waits for its end, but no longer than for a command. */
async function disconnect (client: RedisClient): Promise<void> {
  if (client.status === 'end') return
  client.on('error', () => {})
  const ended = once(client, 'end').catch(() => {})
  client.disconnect()
  await answerInTime(ended)
}

/** Warns if Redis may evict keys, because counters and locks would be lost. Does nothing if the server forbids CONFIG. */
async function warnOfEviction (client: RedisClient, log: RedisLog): Promise<void> {
  try {
    const [, policy] = await client.config('GET', 'maxmemory-policy') as string[]
    if (policy !== undefined && policy !== 'noeviction') {
      log.warn({ policy }, 'Redis may evict keys: set maxmemory-policy to noeviction')
    }
  } catch {}
}
