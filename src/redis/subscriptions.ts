import { plainMessage } from './faults.js'
import type { RedisClient } from './client.js'
import type { RedisLog } from './link.js'

export interface Subscriptions {
  add (channel: string, onMessage: (message: string) => void): void
  /** Ends the subscription of a channel. */
  remove (channel: string): void
  /**
   * Sends a PING, unless there was a message since the last call. A connection without an answer is closed by its socket time-out and
   * reconnects.
   */
  keepAlive (): void
  close (): void
}

/**
 * Manages channels on a connection of their own, opened with the first channel: a subscriber can run no other command in RESP2.
 * The connection subscribes to all channels each time it is ready, also after a reconnection.
 *
 * @param connect opens that connection; it must reconnect without an end
 */
export function subscriptions (connect: () => RedisClient, log: RedisLog): Subscriptions {
  const listeners = new Map<string, Array<(message: string) => void>>()
  let connection: RedisClient | undefined
  let hasHeard = false

  function open (): RedisClient {
    const opened = connect()
    opened.on('error', () => {})
    opened.on('ready', () => { if (listeners.size > 0) send([...listeners.keys()]) })
    opened.on('message', (channel: string, message: string) => {
      hasHeard = true
      for (const listener of listeners.get(channel) ?? []) deliver(listener, message)
    })
    return opened
  }

  function send (channels: string[]): void {
    connection?.subscribe(...channels).catch((error: unknown) => {
      log.warn({ reason: plainMessage(error) }, 'Redis refused a subscription')
    })
  }

  function deliver (listener: (message: string) => void, message: string): void {
    try {
      listener(message)
    } catch (error) {
      log.error({ err: error }, 'A listener for messages failed')
    }
  }

  return {
    add (channel, onMessage) {
      const known = listeners.get(channel)
      if (known) known.push(onMessage)
      else listeners.set(channel, [onMessage])
      if (!connection) connection = open()
      else if (!known && connection.status === 'ready') send([channel])
    },
    remove (channel) {
      if (!listeners.delete(channel)) return
      // Before the connection is ready, it has subscribed to nothing.
      if (connection?.status === 'ready') connection.unsubscribe(channel).catch(() => {})
    },
    keepAlive () {
      const isAlive = hasHeard
      hasHeard = false
      if (isAlive) return
      if (connection?.status === 'ready' && !connection.isCluster) connection.ping().catch(() => {})
    },
    close () {
      connection?.disconnect()
    }
  }
}
