// Promises on stored and shown data, kept by an app that is quite different from the service: test/helpers/host-app.ts.
// Each makes its own host.
import '../helpers/attached.js'

await import('../promises/keys-rotate-without-downtime.test.js')
await import('../promises/secrets-are-found-nowhere.test.js')
await import('../promises/each-decision-leaves-an-event.test.js')
await import('../promises/the-qr-code-says-what-verify-checks.test.js')
