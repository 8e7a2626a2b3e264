import type { RedisServer } from '../../helpers/redis-server.js'
import type { Process } from '../contest.js'
import type { Life } from './life.js'

/** Replicas of one product, with a database and a Redis of their own, and their people. */
export interface Fleet {
  name: string
  /** True if it does no work: it hashes nothing, and no goal is relative to it. */
  isLimit?: boolean
  processes: readonly Process[]
  databaseUrl: string
  redis: RedisServer
  lives: readonly Life[]
}

export const basesOf = ({ processes }: Fleet): string[] => processes.map(({ port }) => `http://127.0.0.1:${port}`)
