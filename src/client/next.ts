import { demandOf } from '../core/assurance.js'
import { unstored, verified } from './fetch.js'
import type { AccessClaims, Client, Demand } from './index.js'

/** Returns the client. A function, because `next build` loads routes too, and must not connect to the service. */
type Source = () => Pick<Client, 'verify'>

/** Route handler with the claims of the accepted token. */
export type Handler<R, C> = (request: R, context: C, claims: Readonly<AccessClaims>) => Response | Promise<Response>

/**
 * Wraps a route handler: `export const GET = guard(client, (request, context, { sub }) => Response.json({ sub }), { maxAge: 300 })`.
 *
 * @throws {TypeError} if the demand is misspelt
 */
export function guard<R extends Request, C> (client: Source, handler: Handler<R, C>, ...given: [demand?: Demand]) {
  const demand = demandOf(given, 'guard')
  return async (request: R, context: C): Promise<Response> => {
    const found = await verified(client(), request, demand)
    return found instanceof Response ? found : await handler(request, context, found)
  }
}

/**
 * Makes the function of `proxy.ts`: `export const proxy = guardPages(client, () => NextResponse.next())`. Next.js lets shared caches
 * store a prerendered page for a year; behind this function its answer is `private, no-store`.
 *
 * @throws {TypeError} if the demand is misspelt
 */
export function guardPages (client: Source, next: () => Response | Promise<Response>, ...given: [demand?: Demand]) {
  const demand = demandOf(given, 'guardPages')
  return async (request: Request): Promise<Response> => {
    const found = await verified(client(), request, demand)
    if (found instanceof Response) return found
    return unstored(await next())
  }
}
