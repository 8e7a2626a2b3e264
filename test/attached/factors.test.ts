// Promises on the set-up and change of factors, kept by an app that is quite different from the service:
// test/helpers/host-app.ts. Each makes its own host.
import '../helpers/attached.js'

await import('../promises/enrolment-is-two-phased.test.js')
await import('../promises/devices-change-in-one-serial-order.test.js')
await import('../promises/factors-change-in-one-serial-order.test.js')
await import('../promises/changes-need-a-fresh-proof.test.js')
await import('../promises/a-lost-device-locks-nobody-out.test.js')
await import('../promises/no-second-factor-no-entry.test.js')
await import('../promises/phishing-resistant-means-it.test.js')
await import('../factors/missing-proof.test.js')
