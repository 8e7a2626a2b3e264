import t, { type Test } from 'tap'

/** A test of what the service alone has: not there where its file runs a second time, against a host (test/attached). */
export function serviceTest (name: string, run: (t: Test) => Promise<unknown>): void {
  if (process.env['COUNTERSIGN_TEST_ATTACHED'] !== '1') void t.test(name, run)
}
