import type { FastifyRequest } from 'fastify'
import { addressOf, clientOf, isAddressed, networkBehind } from '../src/core/network.js'
import type { Asking, ClientOrigin } from '../src/core/session.js'

/** Long enough to recognise a browser by; the rest is not ours to keep. */
const AGENT_LENGTH = 256
/** Of an address that cannot be read, in the log. */
const SAMPLE_LENGTH = 64

/** Servers whose log says already that clients' addresses cannot be read. */
const warned = new WeakSet<object>()

/** Who asks, for the flows. Only behind a guard. */
export function askingOf (request: FastifyRequest): Asking {
  return { standing: request.countersign!, ...originOf(request) }
}

/** Address, network and user agent of the client. A peer of a Unix socket has no address, whatever Fastify's type says. */
export function originOf (request: FastifyRequest): ClientOrigin {
  const client = clientOf(request.ip, request.raw.socket?.remoteAddress)
  if (!isAddressed(client.network)) warnOnce(request)
  return { ...client, agent: (request.headers['user-agent'] ?? '').slice(0, AGENT_LENGTH) }
}

/** The network that a request is counted under, by limits. */
export function networkOfRequest (request: FastifyRequest): string {
  const network = networkBehind(request.ip, request.raw.socket?.remoteAddress)
  if (!isAddressed(network)) warnOnce(request)
  return network
}

/** An operator must hear of it: until it is mended, clients of such a proxy share their limits and their budgets of guesses. */
function warnOnce ({ server, ip, raw }: FastifyRequest): void {
  if (warned.has(server.server)) return
  warned.add(server.server)
  const peer = addressOf(raw.socket?.remoteAddress)
  if (peer === null) {
    server.log.warn(
      'clients on a Unix socket have no address and share one network: let the proxy send X-Forwarded-For, and trust it'
    )
  } else {
    // A host may put anything in place of the address.
    const claimed = String(ip ?? '').slice(0, SAMPLE_LENGTH)
    server.log.warn({ peer, claimed }, 'the client\'s address in X-Forwarded-For cannot be read: clients of this proxy share one network')
  }
}

/** A proxy that passes requests on says so in one of these; any name that begins with x-forwarded counts, too. */
const FORWARDING = new Set(['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'x-cluster-client-ip'])

/** Whether a request was made on this machine, and not by a proxy on it. A peer of a Unix socket, mostly a proxy, does not count. */
export function isFromThisMachine ({ raw }: FastifyRequest): boolean {
  const peer = addressOf(raw.socket?.remoteAddress)
  const isLoopback = peer !== null && (peer.startsWith('127.') || peer === '::1')
  return isLoopback && Object.keys(raw.headers).every((name) => !FORWARDING.has(name) && !name.startsWith('x-forwarded'))
}
