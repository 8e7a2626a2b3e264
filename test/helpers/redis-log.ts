import type { RedisLog } from '../../src/redis/link.js'

/** Remembers the lines, so that a test can read them. */
export function redisLog (): RedisLog & { lines: Array<{ level: string, message: string, [detail: string]: unknown }> } {
  const lines: Array<{ level: string, message: string }> = []
  const at = (level: string) => (details: object, message: string) => { lines.push({ level, message, ...details }) }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}
