import { availableParallelism, cpus, loadavg } from 'node:os'

/** Where and when something was measured, for the line above a table; how busy the machine was with everything, ours included. */
export function machine (): string {
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? '?'}, load average ${loadavg()[1]!.toFixed(1)}`
}
