import type { Call, Kind } from '../history.js'

/** State of an object: a value that can be compared as a text. */
export type State = number | boolean | string

/**
 * A property, as a small sequential object: its first state, and the state after a call. A history has the property if its calls can be put
 * into one order, each between its invocation and its answer, in which every answer is right.
 */
export interface Specification {
  name: string
  /** Sentence of the property. */
  sentence: string
  kinds: readonly Kind[]
  /** Name of the object that the call is about. Objects are checked one by one. */
  objectsOf (call: Call): readonly string[]
  first: State
  /**
   * State after the call; null if its answer is wrong in this state. A call with the result `maybe` is asked for its effect if it happened.
   */
  after (state: State, call: Call): State | null
  /** True for a call that neither changes the state nor can be wrong. It is left out. */
  isIdle (call: Call): boolean
  /** Time after the answer at which the effect must be there, in ms. @default 0 */
  lateMs? (call: Call, object: string): number
}

/** A proof that is accepted once at most. A refusal says nothing, since there are other reasons for it, and the proof may be good later. */
export function onceAtMost (kind: Kind, what: string): Specification {
  return {
    name: `${kind}-once`,
    sentence: `${what} is accepted once at most`,
    kinds: [kind],
    objectsOf: ({ key }) => [key],
    first: false,
    after: (isUsed, { result }) => isUsed === true && result === 'ok' ? null : true,
    isIdle: ({ result }) => result === 'refused'
  }
}
