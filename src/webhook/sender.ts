import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import { isPublic, literalAddress, PrivateAddressError, publicLookup } from './address.js'
import type { Message } from './message.js'

/** From the look-up to the end of the answer. */
const TIMEOUT_MS = 5_000
/** Connections to the one receiver. */
const MOST_CONNECTIONS = 10

export interface Sender {
  /** Resolves once the receiver has said 2xx; rejects for anything else. A redirect is anything else. */
  send (message: Message): Promise<void>
  close (): void
}

export interface SenderOptions {
  url: string
  /** Whether the receiver may be at a private address, and at http://. */
  isPrivateAllowed: boolean
  lookup?: LookupFunction
  timeoutMs?: number
}

/**
 * POSTs to the receiver. Where it leads is looked at as the connection is made; no proxy, redirect or answer of the
 * receiver's has a say in it. Of an answer only the status is read.
 */
export function createSender ({ url, isPrivateAllowed, lookup = publicLookup(), timeoutMs = TIMEOUT_MS }: SenderOptions): Sender {
  const target = new URL(url)
  const literal = literalAddress(target)
  const { request, Agent } = target.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS })
  const guard = isPrivateAllowed ? {} : { lookup }

  return {
    async send ({ headers, body }) {
      if (!isPrivateAllowed && (target.protocol !== 'https:' || (literal !== null && !isPublic(literal)))) {
        throw new PrivateAddressError('The receiver is at a private address')
      }
      await new Promise<void>((resolve, reject) => {
        const asked = request(target, { method: 'POST', agent, headers, ...guard }, (answer) => {
          answer.resume()
          const { statusCode = 0 } = answer
          if (statusCode >= 200 && statusCode < 300) resolve()
          else reject(new Error(`The receiver answered ${statusCode}`))
        })
        const timer = setTimeout(() => { asked.destroy(new Error(`The receiver did not answer within ${timeoutMs} ms`)) }, timeoutMs)
        asked.on('close', () => { clearTimeout(timer) })
        asked.on('error', reject)
        asked.end(body)
      })
    },
    close: () => { agent.destroy() }
  }
}
