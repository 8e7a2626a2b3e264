import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Interval of the samples. Each one wakes an idle process (docs/performance.md). */
const SAMPLE_MS = 250
const NS = 1e9

/** Lag of the event loop since the last reading, in seconds, without the interval of the samples: the wait of a request that came then. */
export interface LoopLag { min: number, max: number, mean: number, stddev: number, p50: number, p90: number, p99: number }

/**
 * Samples the lag of the event loop while the process lives.
 *
 * @returns a function that reads it, and begins again; its result is null if no sample was taken since the last one
 */
export function watchLoopLag (): () => LoopLag | null {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  histogram.enable()
  const lag = (ns: number) => Math.max(0, ns / NS - SAMPLE_MS / 1000)

  return () => {
    if (histogram.count === 0) return null
    const { min, max, mean, stddev } = histogram
    const [p50, p90, p99] = [50, 90, 99].map((share) => lag(histogram.percentile(share))) as [number, number, number]
    histogram.reset()
    return { min: lag(min), max: lag(max), mean: lag(mean), stddev: stddev / NS, p50, p90, p99 }
  }
}
