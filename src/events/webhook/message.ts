import { createHmac } from 'node:crypto'
import type { SecurityEventNotice } from '../notice.js'
import type { Key } from '../../core/key-ring.js'

export interface Message {
  headers: Record<string, string>
  body: string
}

/**
 * An event as it is sent, in the manner of standardwebhooks.com. The signature covers id, time and body, so that none of
 * them can be exchanged. Every key of the ring signs, so that a receiver can move from one to the next in its own time.
 *
 * @param sentAtSeconds Unix time of this attempt: receivers refuse what is old, so that nothing can be played back
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

/** One signature, as the standard's libraries check it: their secret is `whsec_` and the key in base64. */
export function signatureOf ({ bytes }: Pick<Key, 'bytes'>, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', bytes).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}
