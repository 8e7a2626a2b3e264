// The same promise, kept by an app that is nothing like the service: test/helpers/host-app.ts.
import '../helpers/attached.js'

await import('../promises/each-decision-leaves-an-event.test.js')
