// What is promised of what is kept and shown, kept by an app that is nothing like the service: test/helpers/host-app.ts. Each makes a host of its own.
import '../helpers/attached.js'

await import('../promises/keys-rotate-without-downtime.test.js')
await import('../promises/secrets-are-found-nowhere.test.js')
await import('../promises/each-decision-leaves-an-event.test.js')
await import('../promises/the-qr-code-says-what-verify-checks.test.js')
