import type { RedisLog } from '../../src/redis/link.js'

/** Records the lines for a test. */
export function redisLog (): RedisLog & { lines: Array<{ level: string, message: string, [detail: string]: unknown }> } {
  const lines: Array<{ level: string, message: string }> = []
  const at = (level: string) => (details: object, message: string) => { lines.push({ level, message, ...details }) }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}
