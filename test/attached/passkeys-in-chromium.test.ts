// Passkeys in a browser at another origin and RP id, of an app that is quite different from the service: test/helpers/host-app.ts.
import '../helpers/attached.js'

await import('../factors/passkeys/chromium.test.js')
