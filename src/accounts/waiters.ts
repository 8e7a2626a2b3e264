import { siteOf } from '../core/network.js'
import type { ClientOrigin } from '../core/session.js'
import { trimmedName } from '../core/normal-forms.js'
import { usernameKey } from '../core/usernames.js'
import { areKnown, type AskedNetwork } from '../budgets/known-networks.js'
import type { Db } from '../tables/db.js'
import type { Waiter } from './hasher.js'

/** Asked for in one statement. */
const MOST_ASKED = 500

/** Makes the waiter of a request that asks for the password of an account, which may not exist. */
export type WaiterOf = (username: string, origin: ClientOrigin) => Waiter

/**
 * @param byAccount whether the queue is served in turn by account, in place of site: where a gateway limits networks, their
 * addresses may all be the gateway's
 */
export function createWaiters (db: Db, { byAccount }: { byAccount: boolean }): WaiterOf {
  const isKnown = inBatches((asked) => areKnown(db, asked))
  return (username, { network }) => {
    const key = usernameKey(trimmedName(username))
    return { site: byAccount ? key : siteOf(network), network, isKnown: () => isKnown({ usernameKey: key, network }) }
  }
}

interface Pending { asked: AskedNetwork, resolve: (known: boolean) => void, reject: (error: unknown) => void }

/** One statement at a time, for all that asked meanwhile: a rush of log-ins is a few statements, on one connection. */
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
        // What failed for these would fail for the others.
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
