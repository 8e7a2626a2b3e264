// Promises on codes, kept by an app that is quite different from the service: test/helpers/host-app.ts. Each makes its own host.
import '../helpers/attached.js'

await import('../promises/a-code-is-accepted-once.test.js')
await import('../promises/accepted-steps-only-rise.test.js')
await import('../promises/a-passkey-challenge-is-used-once.test.js')
await import('../promises/a-passkey-answers-only-for-its-origin-and-session.test.js')
await import('../promises/a-recovery-code-works-once.test.js')
await import('../promises/guesses-are-bounded.test.js')
await import('../promises/a-lock-spares-the-owner.test.js')
await import('../promises/a-fault-costs-one-attempt-at-most.test.js')
