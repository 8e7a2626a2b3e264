// What is promised of setting up and changing factors, kept by an app that is nothing like the service: test/helpers/host-app.ts. Each makes a host of its own.
import '../helpers/attached.js'

await import('../promises/enrolment-is-two-phased.test.js')
await import('../promises/devices-change-in-one-serial-order.test.js')
await import('../promises/factors-change-in-one-serial-order.test.js')
await import('../promises/changes-need-a-fresh-proof.test.js')
await import('../promises/a-lost-device-locks-nobody-out.test.js')
await import('../promises/no-second-factor-no-entry.test.js')
