import http from 'node:http'
import https from 'node:https'
import { WEBHOOK_MS } from '../../timing/limits.js'
import { guardedLookup, literalAddress, PrivateAddressError, receiversAt } from './address.js'
import type { Message } from './message.js'

/** Connections to the receiver. */
const MOST_CONNECTIONS = 10

export interface Sender {
  /** Resolves if the receiver answers 2xx; rejects for any other answer, a redirect included. */
  send (message: Message): Promise<void>
  close (): void
}

export interface SenderOptions {
  url: string
  /** Private addresses at which the receiver may be, and addresses for which http:// is allowed. */
  named: readonly string[]
  resolve?: Parameters<typeof guardedLookup>[1]
  timeoutMs?: number
}

/**
 * Sends POST requests to the receiver. The address is checked when the connection is made; no proxy and no redirect is
 * used. Only the status of the answer is read.
 */
export function createSender ({ url, named, resolve, timeoutMs = WEBHOOK_MS }: SenderOptions): Sender {
  const target = new URL(url)
  const literal = literalAddress(target)
  const { request, Agent } = target.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS })
  const isAllowed = receiversAt(target, named)
  const lookup = guardedLookup(isAllowed, resolve)

  return {
    async send ({ headers, body }) {
      if (literal !== null && !isAllowed(literal)) throw new PrivateAddressError('The receiver is at an address that was not named')
      await new Promise<void>((resolve, reject) => {
        const asked = request(target, { method: 'POST', agent, headers, lookup }, (answer) => {
          answer.resume()
          const { statusCode = 0 } = answer
          if (statusCode >= 200 && statusCode < 300) resolve()
          else reject(new Error(`The receiver answered ${statusCode}`))
        })
        const timer = setTimeout(() => { asked.destroy(new Error(`The receiver did not answer within ${timeoutMs} ms`)) }, timeoutMs)
        asked.on('close', () => {
          clearTimeout(timer)
          // Node closes a connection with an answer that switches protocols, without the answer and without an error.
          reject(new Error('The receiver switched protocols'))
        })
        asked.on('error', reject)
        asked.end(body)
      })
    },
    close: () => { agent.destroy() }
  }
}
