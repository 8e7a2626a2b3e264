// The same promise, kept by an app that is quite different from the service: test/helpers/host-app.ts.
import '../helpers/attached.js'

await import('../promises/everything-in-redis-expires.test.js')
