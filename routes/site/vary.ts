import type { FastifyReply } from 'fastify'

/**
 * Adds the header of a request by which the answer differs. The one that CORS has named stays: without it, a shared cache gives an
 * origin the answer that another one was allowed to read.
 */
export function varyBy (reply: FastifyReply, header: string): void {
  const others = reply.getHeader('vary')
  void reply.header('vary', others === undefined ? header : `${String(others)}, ${header}`)
}
