import type { Specification } from '../checker/specification.js'

const ENDED = 'ended'

/**
 * A refresh token makes one next token. It may be answered again with the same one until that was used, and never after the end of the
 * session: the end and the refresh are decided in one row.
 */
export const generationOnce: Specification = {
  name: 'generation-once',
  sentence: 'a refresh generation makes one next token, and none after the end of the session was answered',
  kinds: ['refresh', 'generation', 'end'],
  objectsOf: ({ key }) => [key],
  first: 0,
  after (state, { kind, given, value, result }) {
    if (kind === 'end') return ENDED
    if (kind === 'generation') return state === ENDED || state === value ? state : null
    const isRight = state === given || (state as number) - 1 === given
    if (state === ENDED || !isRight) return result === 'ok' ? null : state
    return result === 'ok' && value !== given! + 1 ? null : given! + 1
  },
  isIdle: ({ kind, result }) => result === 'refused' || (kind === 'generation' && result === 'maybe')
}
