// The same promise, kept by an app that is nothing like the service: test/helpers/host-app.ts.
process.env['COUNTERSIGN_TEST_ATTACHED'] = '1'
await import('../promises/the-database-clock-decides.test.js')

export {}
