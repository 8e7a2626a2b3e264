/** `countersign/elements`: defines the elements when it is loaded. */
import { defineChallenge } from './challenge.js'
import { defineEmail } from './email.js'
import { defineEnroll } from './enroll.js'
import { defineFactors } from './factors.js'
import { defineLog } from './log.js'
import { definePassword } from './password.js'
import { defineSecurity } from './security.js'
import { defineSessions } from './sessions.js'

defineChallenge()
defineEnroll()
defineFactors()
defineSessions()
defineLog()
definePassword()
defineEmail()
defineSecurity()
