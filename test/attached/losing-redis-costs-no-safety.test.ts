// The same promise, kept by an app that is quite different from the service: test/helpers/host-app.ts.
import '../helpers/attached.js'

await import('../promises/losing-redis-costs-no-safety.test.js')
