import rateLimit from '@fastify/rate-limit'
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest, onRequestHookHandler, preHandlerHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { networkOfRequest } from '../routes/asking.js'
import { Refusal } from '../src/core/refusals.js'
import { redisKey } from '../src/redis/keys.js'
import { countHits } from '../src/redis/limit-store.js'
import type { CountHit } from '../src/redis/limit-store.js'
import type { RedisLink } from '../src/redis/link.js'
import { LocalWindows } from '../src/redis/local-windows.js'

interface Limit {
  max: number
  windowSeconds: number
  /** Whose budget: a network's, asked first of all; or a user's, asked once the request is authenticated. */
  of: 'network' | 'user'
  /** Verified sessions have a budget of their own, so that a session that has only the password cannot use it up. */
  sparesVerified?: boolean
  /** `all`: exact over all replicas, one Redis command per request. `each`: every replica on its own, none. */
  replicas: 'all' | 'each'
}

/** Every budget, with its default. Routes that name the same one share it, whatever their method, path and spelling. */
export const limits = {
  token: { max: 30, windowSeconds: 60, of: 'network', replicas: 'all' },
  signUp: { max: 10, windowSeconds: 3600, of: 'network', replicas: 'all' },
  enrol: { max: 20, windowSeconds: 3600, of: 'user', replicas: 'all', sparesVerified: true },
  code: { max: 60, windowSeconds: 60, of: 'network', replicas: 'all', sparesVerified: true },
  /** For routes that name none, and for paths that do not exist. */
  other: { max: 600, windowSeconds: 60, of: 'network', replicas: 'all' },
  /** For the guard asked by a gateway on each request: it has one Redis command at most, and that is not this one. */
  reads: { max: 600, windowSeconds: 60, of: 'network', replicas: 'each' },
  /** Writing all metrics down costs as much as some hundred answers. */
  metrics: { max: 60, windowSeconds: 60, of: 'network', replicas: 'each' }
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits

export interface NetworkLimitsOptions {
  redis: RedisLink
  /** First part of every key. */
  namespace: string
  /** False where a gateway in front does this: then nothing is counted here. */
  enabled: boolean
  /** Other numbers of requests than the defaults. */
  max?: Partial<Record<LimitName, number>>
  /** The authenticated user, for limits of a user. Undefined counts by network. */
  userIdOf (request: FastifyRequest): string | undefined
  /** Whether the request comes from a session that has verified a second factor. By default none does. */
  isVerified? (request: FastifyRequest): Promise<boolean>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The budget this route draws on; `other` if it names none. Without the plugin it means nothing. */
    limit?: LimitName | 'none'
  }
  interface FastifyInstance {
    /** The same as a value for a route's `config`: `{ config: app.limit('token') }`. */
    limit (name: LimitName | 'none'): { limit: LimitName | 'none' }
  }
}

/**
 * The service's budgets per network. Register it before the routes; a refusal is thrown, the app's error handler answers it.
 * Counts live in Redis under `namespace:{network or user}:limit:name`, in the process while Redis is away.
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
    /** Throws nothing: how long the budget of that name stays used up, in milliseconds, 0 if it is not. */
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
      // A network is asked for its budget before anything is known of the session, which is looked up where that is used up.
      const isApart = sparesVerified && of === 'user' && await isVerified(request)
      let ttlMs = isApart ? 0 : await common(request)
      if (isApart || (ttlMs > 0 && sparesVerified && await isVerified(request))) ttlMs = await ofVerified(request)
      if (ttlMs > 0) throw refusal(ttlMs)
    }
  }

  app.addHook('onRoute', (route) => {
    const name = route.config?.limit ?? 'other'
    if (name === 'none') return
    // Who is not let in has no user to be counted for: until then it is the network that pays.
    addFirst(route, limits[name].of === 'user' ? hooks.other : hooks[name])
    if (limits[name].of === 'user') addLast(route, hooks[name] as preHandlerHookHandler)
  })
  app.addHook('onRequest', function (request, reply, done) {
    if (request.is404) return hooks.other.call(this, request, reply, done)
    done()
  })
}

/** Without a promise and without a word to Redis: this stands in front of the fastest route there is. */
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

/** @fastify/rate-limit's idea of a store: a class, a callback, a child per route. Ours is one function. */
function storeOf (countHit: CountHit): FastifyRateLimitStoreCtor {
  return class Store implements FastifyRateLimitStore {
    incr (key: string, answer: (error: Error | null, result?: { current: number, ttl: number }) => void, windowMs: number): void {
      countHit(key, windowMs).then(({ count, ttlMs }) => answer(null, { current: count, ttl: ttlMs }), answer)
    }

    child (): FastifyRateLimitStore {
      return this
    }
  }
}

/** A HEAD route made from a GET route comes with the GET's hooks: one counts, two would count twice. */
function addFirst (route: RouteOptions, hook: onRequestHookHandler): void {
  const hooks = [route.onRequest ?? []].flat()
  if (!hooks.includes(hook)) route.onRequest = [hook, ...hooks]
}

function addLast (route: RouteOptions, hook: preHandlerHookHandler): void {
  const hooks = [route.preHandler ?? []].flat()
  if (!hooks.includes(hook)) route.preHandler = [...hooks, hook]
}

export default fp(networkLimits, { name: 'network-limits', fastify: '5.x' })
