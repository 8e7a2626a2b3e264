import type { EventKind } from './kinds.js'

/** Security event as it is sent to a receiver or a host. It has no secrets; times are by PostgreSQL's clock. */
export interface SecurityEventNotice {
  /** The same in each repeat of this event: use it to remove duplicates. */
  id: string
  kind: EventKind
  at: Date
  userId: string
  sessionId: string | null
  ip: string
  agent: string
  deviceName: string | null
  /** Id of the actor, if it is not the user: a member of staff, or `command line`. */
  actorId: string | null
  detail: string | null
  /** Number of events that a line counts so far: those of its kind after the sixtieth within an hour. */
  count?: number
}
