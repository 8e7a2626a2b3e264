import type { Specification } from '../checker/specification.js'

/** The accepted steps of a device rise, and a reading shows the last accepted one: none is lost, none appears. */
export const stepsRise: Specification = {
  name: 'steps-rise',
  sentence: 'accepted steps of a device rise, and the last one is in the table',
  kinds: ['code', 'step'],
  objectsOf: ({ key }) => [key],
  first: -1,
  after (last, { kind, given, value, result }) {
    if (kind === 'step') return value === last ? last : null
    if (given! > (last as number)) return given!
    // What was lost may have been refused.
    return result === 'ok' ? null : last
  },
  isIdle: ({ kind, result }) => result === 'refused' || (kind === 'step' && result === 'maybe')
}
