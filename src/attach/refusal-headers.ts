import type { FastifyReply } from 'fastify'
import type { Refusal } from '../core/refusals.js'

/**
 * Sets the headers of a refusal before it is thrown. The error handler of a host, or of a framework such as NestJS, may send the status of
 * an error alone: the client then reads code and challenge from the headers.
 */
export function setRefusalHeaders (reply: FastifyReply, { headers }: Refusal): void {
  // A host may call a hook with a reply of its own.
  if (typeof (reply as Partial<FastifyReply> | undefined)?.headers === 'function') void reply.headers(headers)
}
