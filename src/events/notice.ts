import type { EventKind } from './kinds.js'

/** Security event as it is sent to a receiver or a host. It has no secrets; times are by PostgreSQL's clock. */
export interface SecurityEventNotice {
  /** The same in each repeat of this event: use it to remove duplicates. */
  id: string
  /** Kind of the event. The list is open. */
  kind: EventKind
  /** Time of the event. */
  at: Date
  /** User whose account it is about. */
  userId: string
  /** Session that caused it; null for staff, the command line and strangers. */
  sessionId: string | null
  /** Address of the client; empty if there was no request. */
  ip: string
  /** User agent of the client, as it came; empty if there was none. */
  agent: string
  /** Name of the device that the event is about. */
  deviceName: string | null
  /** Id of the actor, if it is not the user: a member of staff, or `command line`. */
  actorId: string | null
  /** Reason that staff gave, or a further fact by kind. */
  detail: string | null
  /** Number of events that a line counts so far: those of its kind after the sixtieth within an hour. */
  count?: number
}
