import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { RequestSpan, Tracing } from './tracing.js'

/** Node's own code for a connection that the client closed before it had the answer. */
const BROKEN_OFF = 'ECONNRESET'

/**
 * Makes a span of OpenTelemetry for each request but probes. Names and attributes are those of its semantic conventions for HTTP.
 * None has a query, a header or an address of the client.
 */
export function traceRequests (app: FastifyInstance, tracing: Tracing): void {
  const spans = new WeakMap<FastifyRequest, RequestSpan>()

  app.addHook('onRequest', (request, reply, done) => {
    const { method, protocol, headers, id, url, routeOptions } = request
    if (routeOptions.config.limit === 'none') {
      done()
      return
    }
    const route = routeOptions.url
    const span = tracing.request(route === undefined ? method : `${method} ${route}`, headers, {
      'http.request.method': method,
      'url.scheme': protocol,
      'network.protocol.version': request.raw.httpVersion,
      'countersign.request_id': id,
      // The path of an unknown route may be anything that a client sent by mistake.
      ...(route === undefined ? {} : { 'http.route': route, 'url.path': url.split('?', 1)[0]! })
    })
    spans.set(request, span)
    // Without an answer there is no `onResponse`, and no `onRequestAbort` once the body was read.
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished && spans.delete(request)) span.breakOff(BROKEN_OFF)
    })
    span.enter(done)
  })
  // The body arrives in events of the socket, outside the request's context.
  app.addHook('preValidation', (request, _reply, done) => {
    const span = spans.get(request)
    if (span === undefined) done()
    else span.enter(done)
  })
  app.addHook('onResponse', (request, reply, done) => {
    const refusal = reply.getHeader('x-refusal')
    spans.get(request)?.end(reply.statusCode, typeof refusal === 'string' ? { 'countersign.refusal': refusal } : {})
    done()
  })
}
