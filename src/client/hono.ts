import { demandOf } from '../core/assurance.js'
import { verified } from './fetch.js'
import type { AccessClaims, Client, Demand } from './index.js'

/** Variables of the context after the guard, for `new Hono<GuardEnv>()`. */
export interface GuardEnv {
  /** Names that `c.get` and `c.var` know: `countersign`, the claims of the accepted token. */
  Variables: { countersign: Readonly<AccessClaims> }
}

interface Context { req: { raw: Request }, set (name: 'countersign', claims: Readonly<AccessClaims>): void }

/**
 * Middleware of Hono: `app.use('/invoices/*', guard(client, { maxAge: 300 }))`. The handler reads `c.get('countersign').sub`.
 *
 * @throws {TypeError} if the demand is misspelt
 */
export function guard (client: Pick<Client, 'verify'>, ...given: [demand?: Demand]) {
  const demand = demandOf(given, 'guard')
  return async (context: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const found = await verified(client, context.req.raw, demand)
    if (found instanceof Response) return found
    context.set('countersign', found)
    await next()
    return undefined
  }
}
