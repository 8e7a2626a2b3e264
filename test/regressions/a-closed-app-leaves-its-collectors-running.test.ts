import perfHooks from 'node:perf_hooks'
import Fastify from 'fastify'
import t from 'tap'
import metrics from '../../plugins/metrics.js'

/*
 * prom-client's collectors of the process have no end: an observer of the garbage collection and a timer of the event loop, one of each
 * for every app that was ever open in the process.
 */

const NAMES = ['process_cpu_seconds_total', 'nodejs_gc_duration_seconds', 'nodejs_eventloop_lag_seconds', 'countersign_requests_total']

t.test('apps that open and close share the collectors of the process', async (t) => {
  const { PerformanceObserver, monitorEventLoopDelay } = perfHooks
  let observers = 0
  let timers = 0
  t.teardown(() => { Object.assign(perfHooks, { PerformanceObserver, monitorEventLoopDelay }) })
  Object.assign(perfHooks, {
    PerformanceObserver: class extends PerformanceObserver {
      constructor (...given: ConstructorParameters<typeof PerformanceObserver>) {
        super(...given)
        observers++
      }
    },
    monitorEventLoopDelay: (...given: Parameters<typeof monitorEventLoopDelay>) => {
      timers++
      return monitorEventLoopDelay(...given)
    }
  })
  for (let i = 0; i < 3; i++) {
    const app = Fastify()
    await app.register(metrics)
    await app.ready()
    const { text } = await app.metrics.text()
    for (const name of NAMES) {
      t.equal(text.match(new RegExp(`^# TYPE ${name} `, 'gm'))?.length, 1, name)
    }
    t.notMatch(text, /nodejs_version_info/)
    await app.close()
  }
  t.ok(observers <= 1 && timers <= 1, `${observers} observers and ${timers} timers`)
})
