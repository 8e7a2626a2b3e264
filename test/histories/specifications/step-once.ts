import type { Specification } from '../checker/specification.js'

/**
 * A step of a device is accepted once. Readings of the last used step are part of the history: one that shows this step proves that a call
 * whose answer was lost was accepted, and then no other one may be.
 */
export const stepOnce: Specification = {
  name: 'step-once',
  sentence: 'a step of a device is accepted once at most',
  kinds: ['code', 'step'],
  objectsOf: ({ key, kind, given, value }) => [`${key} step ${kind === 'code' ? given : value}`],
  first: false,
  after (isUsed, { kind, result }) {
    if (kind === 'step') return isUsed === true ? true : null
    return isUsed === true && result === 'ok' ? null : true
  },
  isIdle: ({ kind, result, value }) => result === 'refused' || (kind === 'step' && (result === 'maybe' || value === undefined || value < 0))
}
