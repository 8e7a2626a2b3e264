import type { EventKind } from './kinds.js'

/** A security event as somebody outside is told of it. Nothing in it is secret; times are Postgres'. */
export interface SecurityEventNotice {
  /** The same whenever this event is told again: what to fold repeats by. */
  id: string
  kind: EventKind
  at: Date
  userId: string
  sessionId: string | null
  ip: string
  agent: string
  deviceName: string | null
  /** Who did it, if not the user: a member of staff, or `command line`. */
  actorId: string | null
  detail: string | null
  /** In a line that counts the events of its kind past the sixtieth within an hour: how many it stands for so far. */
  count?: number
}
