import { availableParallelism, cpus, loadavg } from 'node:os'

/** Returns machine, time and total load of a measurement, for the line above a table. */
export function machine (): string {
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ` +
    `${availableParallelism()} × ${cpus()[0]?.model ?? '?'}, load average ${loadavg()[1]!.toFixed(1)}`
}
