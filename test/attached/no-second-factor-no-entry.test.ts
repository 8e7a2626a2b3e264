// The same promise, kept by an app that is nothing like the service: test/helpers/host-app.ts.
import '../helpers/attached.js'

await import('../promises/no-second-factor-no-entry.test.js')
