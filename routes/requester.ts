import type { FastifyRequest } from 'fastify'
import { addressOf, clientOf, isAddressed, networkBehind } from '../src/core/network.js'
import type { Requester, ClientOrigin } from '../src/core/session.js'

/** Enough to recognise a browser. The rest is not stored. */
const AGENT_LENGTH = 256
/** Length of an unreadable address in the log. */
const SAMPLE_LENGTH = 64

/** Servers that have logged that clients' addresses cannot be read. */
const warned = new WeakSet<object>()

/** Returns the requester. Only behind a guard. */
export function requesterOf (request: FastifyRequest): Requester {
  return { context: request.countersign!, ...originOf(request) }
}

/** Returns address, network and user agent of the client. A peer of a Unix socket has no address, in spite of Fastify's type. */
export function originOf (request: FastifyRequest): ClientOrigin {
  const client = clientOf(request.ip, request.raw.socket?.remoteAddress)
  if (!isAddressed(client.network)) warnOnce(request)
  return { ...client, agent: (request.headers['user-agent'] ?? '').slice(0, AGENT_LENGTH) }
}

/** Returns the network under which limits count a request. */
export function networkOfRequest (request: FastifyRequest): string {
  const network = networkBehind(request.ip, request.raw.socket?.remoteAddress)
  if (!isAddressed(network)) warnOnce(request)
  return network
}

/** Warns the operator once: until it is fixed, clients of such a proxy share their limits and their budgets of guesses. */
function warnOnce ({ server, ip, raw }: FastifyRequest): void {
  if (warned.has(server.server)) return
  warned.add(server.server)
  const peer = addressOf(raw.socket?.remoteAddress)
  if (peer === null) {
    server.log.warn(
      'clients on a Unix socket have no address and share one network: let the proxy send X-Forwarded-For, and trust it'
    )
  } else {
    // A host may put any value in place of the address.
    const claimed = String(ip ?? '').slice(0, SAMPLE_LENGTH)
    server.log.warn({ peer, claimed }, 'the client\'s address in X-Forwarded-For cannot be read: clients of this proxy share one network')
  }
}

/** Headers of a proxy. Any other name that begins with x-forwarded counts too. */
const FORWARDING = new Set(['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'x-cluster-client-ip'])

/**
 * Returns true if a program on this machine sent the request, and no proxy passed it on. A peer of a Unix socket is usually
 * a proxy and does not count.
 */
export function isFromThisMachine ({ raw }: FastifyRequest): boolean {
  const peer = addressOf(raw.socket?.remoteAddress)
  const isLoopback = peer !== null && (peer.startsWith('127.') || peer === '::1')
  return isLoopback && Object.keys(raw.headers).every((name) => !FORWARDING.has(name) && !name.startsWith('x-forwarded'))
}
