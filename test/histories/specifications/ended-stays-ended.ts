import type { Call } from '../history.js'
import type { Specification } from '../checker/specification.js'

/** REVOCATION_SECONDS of the replicas. */
export const BOUND_MS = 1_000

/** Replicas of a history; the object of a session is its view at one of them. */
export function endedStaysEnded (replicas: readonly string[]): Specification {
  const objectOf = (key: string, replica: string) => `${key} at ${replica}`
  return {
    name: 'ended-stays-ended',
    sentence: 'no request is accepted that begins later than an acknowledged end and the bound; at the replica that ended the session, ' +
      'than the end; at any replica, than its first answer that the session is over',
    kinds: ['guard', 'end'],
    objectsOf: ({ kind, key, at }) => kind === 'guard' ? [objectOf(key, at)] : replicas.map((replica) => objectOf(key, replica)),
    first: true,
    after (isAlive, { kind, result }) {
      if (kind === 'end' || result === 'refused') return false
      return isAlive === true ? true : null
    },
    isIdle: ({ kind, result, code }: Call) =>
      result === 'refused' ? kind === 'end' || code !== 'SESSION_ENDED' : kind === 'guard' && result === 'maybe',
    lateMs: ({ kind, key, at }, object) => kind === 'end' && object !== objectOf(key, at) ? BOUND_MS : 0
  }
}
