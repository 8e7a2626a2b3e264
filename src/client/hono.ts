import { verified } from './fetch.js'
import type { AccessClaims, Client, Demand } from './index.js'

/** Variables of the context after the guard, for `new Hono<GuardEnv>()`. */
export interface GuardEnv {
  /** Names that `c.get` and `c.var` know: `countersign`, the claims of the accepted token. */
  Variables: { countersign: Readonly<AccessClaims> }
}

interface Context { req: { raw: Request }, set (name: 'countersign', claims: Readonly<AccessClaims>): void }

/** Middleware of Hono: `app.use('/invoices/*', guard(client, { maxAge: 300 }))`. The handler reads `c.get('countersign').sub`. */
export function guard (client: Pick<Client, 'verify'>, demand?: Demand) {
  return async (context: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const found = await verified(client, context.req.raw, demand)
    if (found instanceof Response) return found
    context.set('countersign', found)
    await next()
    return undefined
  }
}
