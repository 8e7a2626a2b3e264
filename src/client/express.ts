import type { IncomingMessage, ServerResponse } from 'node:http'
import { demandOf } from '../core/assurance.js'
import { bearerOf, forwardedFor, refusalAnswer, type AccessClaims, type Client, type Demand } from './index.js'

/** Request that the guard has accepted. */
export interface Guarded extends IncomingMessage {
  /** Claims of the accepted token. */
  countersign: Readonly<AccessClaims>
}

type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

/**
 * Middleware of Express 5 (or of `http`): `app.get('/invoices', guard(client, { maxAge: 300 }), handler)`. The handler reads
 * `request.countersign.sub`. A refusal is answered here; any other error goes to the error handler.
 *
 * @throws {TypeError} if the demand is misspelt
 */
export function guard (client: Pick<Client, 'verify'>, ...given: [demand?: Demand]): Middleware {
  const demand = demandOf(given, 'guard')
  return (request, response, next) => {
    const token = bearerOf(request.headers.authorization)
    client.verify(token, demand, forwardedFor(request)).then((claims) => {
      (request as Guarded).countersign = claims
      // Not in this promise: an error of a handler is an uncaught exception, as behind any middleware, and no unhandled rejection.
      queueMicrotask(next)
    }, (error: unknown) => {
      const answer = refusalAnswer(error)
      if (answer === undefined) return queueMicrotask(() => { next(error) })
      // A time limit of the application may have answered while the service was asked.
      if (response.headersSent) return
      response.writeHead(answer.status, { ...answer.headers, 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
    })
  }
}
