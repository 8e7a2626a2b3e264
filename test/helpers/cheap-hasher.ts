import { createHash } from 'node:crypto'
import { createConcurrencyLimiter } from '../../src/accounts/concurrency-limiter.js'
import type { Hasher } from '../../src/accounts/hasher.js'

const digest = (password: string) => `cheap:${createHash('sha256').update(password).digest('hex')}`

/** As many places as connections to PostgreSQL. */
const turns = createConcurrencyLimiter({ places: 8, mostWaiting: Infinity })

/** Cheap hashes and no refusals for tests that check hundreds of passwords. */
export const cheapHasher: Hasher = {
  inTurn: (work, waiter) => turns.enter((leave) => work({ waiter, leave })),
  hash: async (password) => digest(password),
  verify: async (hash, password) => hash === digest(password),
  renew: async () => null,
  state: () => ({ running: 0, waiting: 0 })
}
