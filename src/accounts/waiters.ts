import { siteOf } from '../core/network.js'
import type { ClientOrigin } from '../core/session.js'
import { trimmedName } from '../core/normal-forms.js'
import { usernameKey } from '../core/usernames.js'
import { areKnown, type AskedNetwork } from '../budgets/known-networks.js'
import type { Db } from '../tables/db.js'
import type { Waiter } from './hasher.js'

/** Number of networks that one statement looks up. */
const MOST_ASKED = 500

/** Creates the waiter of a request that asks for an account's password. The account may not exist. */
export type WaiterOf = (username: string, origin: ClientOrigin) => Waiter

/**
 * Creates the factory of waiters.
 *
 * @param byAccount true if the queue takes turns by account instead of site: behind a gateway that limits networks, all
 * addresses may be the gateway's
 */
export function createWaiters (db: Db, { byAccount }: { byAccount: boolean }): WaiterOf {
  const isKnown = inBatches((asked) => areKnown(db, asked))
  return (username, { network }) => {
    const key = usernameKey(trimmedName(username))
    return { site: byAccount ? key : siteOf(network), network, isKnown: () => isKnown({ usernameKey: key, network }) }
  }
}

interface Pending { asked: AskedNetwork, resolve: (known: boolean) => void, reject: (error: unknown) => void }

/** Collects look-ups into one statement at a time, so that many concurrent log-ins need few statements on one connection. */
function inBatches (ask: (asked: readonly AskedNetwork[]) => Promise<boolean[]>): (asked: AskedNetwork) => Promise<boolean> {
  const waiting: Pending[] = []
  let isAsking = false

  async function askAll (): Promise<void> {
    isAsking = true
    while (waiting.length > 0) {
      const batch = waiting.splice(0, MOST_ASKED)
      try {
        const known = await ask(batch.map(({ asked }) => asked))
        batch.forEach(({ resolve }, i) => { resolve(known[i] === true) })
      } catch (error) {
        // The waiting look-ups would fail for the same reason.
        for (const { reject } of batch.concat(waiting.splice(0))) reject(error)
      }
    }
    isAsking = false
  }

  return (asked) => new Promise((resolve, reject) => {
    waiting.push({ asked, resolve, reject })
    if (!isAsking) void askAll()
  })
}
