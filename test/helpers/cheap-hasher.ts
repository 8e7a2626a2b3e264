import { createHash } from 'node:crypto'
import { createGate } from '../../src/accounts/concurrency-limiter.js'
import type { Hasher } from '../../src/accounts/hasher.js'

const digest = (password: string) => `cheap:${createHash('sha256').update(password).digest('hex')}`

/** As many as have a connection to PostgreSQL. */
const turns = createGate({ places: 8, mostWaiting: Infinity })

/** For tests that count passwords by the hundred: hashes that cost nothing, and no turn that comes too late. */
export const cheapHasher: Hasher = {
  inTurn: (work, waiter) => turns.enter((leave) => work({ waiter, leave })),
  hash: async (password) => digest(password),
  verify: async (hash, password) => hash === digest(password),
  isOutdated: () => false,
  state: () => ({ running: 0, waiting: 0 })
}
