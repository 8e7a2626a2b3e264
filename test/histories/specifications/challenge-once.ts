import { onceAtMost, type Specification } from '../checker/specification.js'

/** Any answer to a passkey challenge that was judged consumes it, a wrong one too. */
export const challengeOnce: Specification = {
  ...onceAtMost('challenge', 'a passkey challenge'),
  isIdle: ({ result, code }) => result === 'refused' && code !== 'PASSKEY_INVALID'
}
