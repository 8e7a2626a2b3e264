import { onceAtMost, type Specification } from '../checker/specification.js'
import { challengeOnce } from './challenge-once.js'
import { endedStaysEnded } from './ended-stays-ended.js'
import { generationOnce } from './generation-once.js'
import { stepOnce } from './step-once.js'
import { stepsRise } from './steps-rise.js'

/** Every property that a history is checked for. */
export const specificationsFor = (replicas: readonly string[]): readonly Specification[] => [
  stepOnce,
  stepsRise,
  challengeOnce,
  onceAtMost('recovery', 'a recovery code'),
  onceAtMost('reset', 'a token for a forgotten password'),
  onceAtMost('setup', 'a set-up code from staff'),
  generationOnce,
  endedStaysEnded(replicas)
]
