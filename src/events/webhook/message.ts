import { createHmac } from 'node:crypto'
import type { SecurityEventNotice } from '../notice.js'
import type { Key } from '../../core/keys/key-ring.js'

export interface Message {
  headers: Record<string, string>
  body: string
}

/**
 * Makes the message for an event, by standardwebhooks.com. The signature covers id, time and body, so that none of
 * them can be exchanged. Every key of the ring signs, so that a receiver can change keys at any time.
 *
 * @param sentAtSeconds Unix time of this attempt: receivers refuse old messages, so that none can be replayed
 */
export function messageOf ({ id, kind, at, ...data }: SecurityEventNotice, keys: readonly Key[], sentAtSeconds: number): Message {
  const body = JSON.stringify({ type: kind, timestamp: at, data: { id, ...data } })
  const timestamp = String(Math.floor(sentAtSeconds))
  return {
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'countersign',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': keys.map((key) => signatureOf(key, id, timestamp, body)).join(' ')
    },
    body
  }
}

/** Returns one signature, as the standard's libraries check it: their secret is `whsec_` and the key in base64. */
export function signatureOf ({ bytes }: Pick<Key, 'bytes'>, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', bytes).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}
