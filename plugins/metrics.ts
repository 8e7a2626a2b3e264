import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { definedCounters, type CounterName, type Counters } from '../src/core/counters.js'
import { watchLoopLag, type LoopLag } from '../src/timing/loop-lag.js'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

export interface Metrics {
  /** Adds all counters of a set. */
  counters (counters: Counters): void
  /** Adds a gauge that is read at each scrape. */
  gauge (name: string, help: string, read: () => number): void
  /** Adds a counter that is read at each scrape. */
  counter (name: string, help: string, read: () => number): void
  /** Adds a constant fact, as a label of a gauge with the value 1. */
  fact (name: string, help: string, labels: Record<string, string>): void
  text (): Promise<{ type: string, text: string }>
}

/** Names of the release before, by today's name. Each is served beside the new one until the next release; see UPGRADING.md. */
const formerNames: Readonly<Record<string, string>> = {
  deleted_rows_total: 'swept_rows_total',
  revocations_age_seconds: 'feed_age_seconds',
  session_reads_local_cache_total: 'session_reads_memo_total'
}

/** Returns name and help of a metric, and those under its former name. */
function namesOf (name: string, help: string): Array<{ name: string, help: string }> {
  const former = formerNames[name]
  return [
    { name: `countersign_${name}`, help },
    ...former === undefined ? [] : [{ name: `countersign_${former}`, help: `Former name of countersign_${name}` }]
  ]
}

/** Longest interval of a timer. prom-client samples the event loop by its own interval, which is set aside: we do that ourselves. */
const NEVER_MS = 2 ** 31 - 1

/** Serves the lag of the event loop in place of prom-client, whose samples wake an idle process too often. */
function addLoopLag (registry: Registry): void {
  const read = watchLoopLag()
  const texts: Record<keyof LoopLag, string> = {
    min: 'The minimum recorded event loop delay.',
    max: 'The maximum recorded event loop delay.',
    mean: 'The mean of the recorded event loop delays.',
    stddev: 'The standard deviation of the recorded event loop delays.',
    p50: 'The 50th percentile of the recorded event loop delays.',
    p90: 'The 90th percentile of the recorded event loop delays.',
    p99: 'The 99th percentile of the recorded event loop delays.'
  }
  const gauges = Object.entries(texts).map(([part, help], i) => {
    const name = `nodejs_eventloop_lag_${part}_seconds`
    registry.removeSingleMetric(name)
    // The first one sets all of them: each scrape begins again.
    return new Gauge({ name, help, registers: [registry], ...(i === 0 ? { collect } : {}) })
  })

  function collect (): void {
    const lag = read()
    if (lag !== null) for (const [i, part] of (Object.keys(texts) as Array<keyof LoopLag>).entries()) gauges[i]!.set(lag[part])
  }
}

let shared: Registry | undefined

/** Returns the metrics of the process. Its collectors have no end, so all apps of the process share one set of them. */
function ofProcess (): Registry {
  if (shared !== undefined) return shared
  shared = new Registry()
  collectDefaultMetrics({ register: shared, eventLoopMonitoringPrecision: NEVER_MS })
  addLoopLag(shared)
  // The metrics may be public, and the release of Node.js helps attackers only.
  shared.removeSingleMetric('nodejs_version_info')
  return shared
}

/**
 * Prometheus metrics. Requests are counted in a plain Map and copied at each scrape, because a client library's histogram
 * costs a third of a bare route. No label has a user or a path from a client.
 */
async function metrics (app: FastifyInstance): Promise<void> {
  const registry = new Registry()
  const requests = new Map<string, number>()

  app.addHook('onResponse', (request, reply, done) => {
    const key = `${request.method} ${reply.statusCode} ${request.routeOptions.url ?? ''}`
    requests.set(key, (requests.get(key) ?? 0) + 1)
    done()
  })
  const served = new Counter({
    name: 'countersign_requests_total',
    help: 'Requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
    collect () {
      served.reset()
      for (const [key, count] of requests) {
        const [method = '', status = '', route = ''] = key.split(' ')
        served.inc({ method, route: route === '' ? '(none)' : route, status }, count)
      }
    }
  })

  app.decorate('metrics', {
    counters (counters) {
      for (const name of Object.keys(definedCounters) as CounterName[]) {
        const { help, labels } = definedCounters[name]
        for (const texts of namesOf(name, help)) {
          const counter: Counter = new Counter({
            ...texts,
            labelNames: labels,
            registers: [registry],
            collect () {
              counter.reset()
              for (const { labels: values, value } of counters.read(name)) counter.inc(values, value)
            }
          })
        }
      }
    },
    gauge (name, help, read) {
      for (const texts of namesOf(name, help)) {
        const gauge: Gauge = new Gauge({ ...texts, registers: [registry], collect: () => { gauge.set(read()) } })
      }
    },
    counter (name, help, read) {
      for (const texts of namesOf(name, help)) {
        const counter: Counter = new Counter({
          ...texts, registers: [registry], collect: () => { counter.reset(); counter.inc(read()) }
        })
      }
    },
    fact (name, help, labels) {
      new Gauge({ name: `countersign_${name}`, help, labelNames: Object.keys(labels), registers: [registry] }).set(labels, 1)
    },
    text: async () => ({ type: registry.contentType, text: await Registry.merge([ofProcess(), registry]).metrics() })
  } satisfies Metrics)
  app.addHook('onClose', async () => { registry.clear() })
}

export default fp(metrics, { name: 'metrics', fastify: '5.x' })
