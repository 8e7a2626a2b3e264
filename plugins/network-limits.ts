import rateLimit from '@fastify/rate-limit'
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest, onRequestHookHandler, preHandlerHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { networkOfRequest } from '../routes/requester.js'
import { Refusal } from '../src/core/refusals.js'
import { redisKey } from '../src/redis/keys.js'
import { countHits } from '../src/redis/limit-store.js'
import type { CountHit } from '../src/redis/limit-store.js'
import type { RedisLink } from '../src/redis/link.js'
import { LocalWindows } from '../src/redis/local-windows.js'

interface Limit {
  max: number
  windowSeconds: number
  /** Key of the budget: the network, checked first; or the user, checked after authentication. */
  of: 'network' | 'user'
  /** True if verified sessions have a separate budget, so that a session with only the password cannot use it up. */
  sparesVerified?: boolean
  /** `all`: exact over all replicas, with one Redis command per request. `each`: per replica, without Redis. */
  replicas: 'all' | 'each'
}

/** Budgets with their defaults. Routes with the same name share one budget, for any method, path and spelling. */
export const limits = {
  token: { max: 30, windowSeconds: 60, of: 'network', replicas: 'all' },
  signUp: { max: 10, windowSeconds: 3600, of: 'network', replicas: 'all' },
  enrol: { max: 20, windowSeconds: 3600, of: 'user', replicas: 'all', sparesVerified: true },
  code: { max: 60, windowSeconds: 60, of: 'network', replicas: 'all', sparesVerified: true },
  mail: { max: 20, windowSeconds: 3600, of: 'network', replicas: 'all' },
  /** For routes without a name, and for unknown paths. */
  other: { max: 600, windowSeconds: 60, of: 'network', replicas: 'all' },
  /** For the guard, which a gateway asks on each request: its only Redis command is for the session, not for this limit. */
  reads: { max: 600, windowSeconds: 60, of: 'network', replicas: 'each' },
  /** Printing all metrics costs as much as some hundred answers. */
  metrics: { max: 60, windowSeconds: 60, of: 'network', replicas: 'each' }
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits

export interface NetworkLimitsOptions {
  redis: RedisLink
  /** First part of every key. */
  namespace: string
  /** False if a gateway in front limits requests: then nothing is counted here. */
  enabled: boolean
  /** Limits that differ from the defaults. */
  max?: Partial<Record<LimitName, number>>
  /** Returns the authenticated user, for budgets of users. Undefined counts by network. */
  userIdOf (request: FastifyRequest): string | undefined
  /**
   * Returns true if the session of the request has verified a second factor.
   *
   * @default no session has
   */
  isVerified? (request: FastifyRequest): Promise<boolean>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Budget of this route, `other` by default. No effect without the plugin. */
    limit?: LimitName | 'none'
  }
  interface FastifyInstance {
    /** Returns the same as a route's `config`: `{ config: app.limit('token') }`. */
    limit (name: LimitName | 'none'): { limit: LimitName | 'none' }
  }
}

/**
 * Limits requests per network and user. Register it before the routes. It throws refusals, which the app's error handler
 * answers.
 *
 * Counts are in Redis under `namespace:{network or user}:limit:name`, and in the process while Redis is unreachable.
 */
async function networkLimits (app: FastifyInstance, options: NetworkLimitsOptions): Promise<void> {
  const { redis, namespace, enabled, max = {}, userIdOf, isVerified = async () => false } = options
  app.decorate('limit', (name) => ({ limit: name }))
  if (!enabled) return

  await app.register(rateLimit, { global: false, store: storeOf(countHits(redis)) })
  const local = new LocalWindows()
  const hooks = Object.fromEntries(Object.entries(limits).map(([name, initial]) => {
    const limit = { ...initial, max: max[name as LimitName] ?? initial.max }
    return [name, limit.replicas === 'each' ? countHere(local, name, limit) : countEverywhere(name, limit)]
  })) as Record<LimitName, onRequestHookHandler>

  function countEverywhere (name: string, { max, windowSeconds, of, sparesVerified = false }: Limit): onRequestHookHandler {
    const whose = (request: FastifyRequest) => (of === 'user' ? userIdOf(request) : undefined) ?? networkOfRequest(request)
    /** Returns the milliseconds for which the budget stays used up, 0 if it is not. Never throws. */
    const counter = (budget: string) => {
      const count = app.createRateLimit({
        max,
        timeWindow: windowSeconds * 1000,
        keyGenerator: (request) => redisKey(namespace, whose(request), 'limit', budget)
      })
      return async (request: FastifyRequest) => {
        const hit = await count(request)
        return !hit.isAllowed && hit.isExceeded ? hit.ttl : 0
      }
    }
    const [common, ofVerified] = [counter(name), counter(`${name}-verified`)]
    return async (request) => {
      // The network's budget is checked first, without the session. The session is read only if that budget is used up.
      const isApart = sparesVerified && of === 'user' && await isVerified(request)
      let ttlMs = isApart ? 0 : await common(request)
      if (isApart || (ttlMs > 0 && sparesVerified && await isVerified(request))) ttlMs = await ofVerified(request)
      if (ttlMs > 0) throw refusal(ttlMs)
    }
  }

  app.addHook('onRoute', (route) => {
    const name = route.config?.limit ?? 'other'
    if (name === 'none') return
    // A request that the guard refuses has no user, so the network is counted until then.
    addFirst(route, limits[name].of === 'user' ? hooks.other : hooks[name])
    if (limits[name].of === 'user') addLast(route, hooks[name] as preHandlerHookHandler)
  })
  app.addHook('onRequest', function (request, reply, done) {
    if (request.is404) return hooks.other.call(this, request, reply, done)
    done()
  })
}

/** Counts without a promise and without Redis, because the fastest route uses it. */
function countHere (local: LocalWindows, name: string, { max, windowSeconds }: Limit): onRequestHookHandler {
  const windowMs = windowSeconds * 1000
  return (request, _reply, done) => {
    const hit = local.hit(`${name} ${networkOfRequest(request)}`, windowMs, performance.now())
    done(hit.count > max ? refusal(hit.ttlMs) : undefined)
  }
}

function refusal (ttlMs: number): Refusal {
  return new Refusal('RATE_LIMITED', { retryAfterSeconds: Math.max(1, Math.ceil(ttlMs / 1000)) })
}

/** Adapts our function to the store class that @fastify/rate-limit requires, with a callback and a child per route. */
function storeOf (countHit: CountHit): FastifyRateLimitStoreCtor {
  return class Store implements FastifyRateLimitStore {
    incr (
      key: string, answer: (error: Error | null, result?: { current: number, ttl: number }) => void, windowMs: number, max: number
    ): void {
      countHit(key, windowMs, max).then(({ count, ttlMs }) => answer(null, { current: count, ttl: ttlMs }), answer)
    }

    child (): FastifyRateLimitStore {
      return this
    }
  }
}

/** Adds a hook to a route, at most once: a HEAD route made from a GET route has its hooks already. */
function addFirst (route: RouteOptions, hook: onRequestHookHandler): void {
  const hooks = [route.onRequest ?? []].flat()
  if (!hooks.includes(hook)) route.onRequest = [hook, ...hooks]
}

function addLast (route: RouteOptions, hook: preHandlerHookHandler): void {
  const hooks = [route.preHandler ?? []].flat()
  if (!hooks.includes(hook)) route.preHandler = [...hooks, hook]
}

export default fp(networkLimits, { name: 'network-limits', fastify: '5.x' })
