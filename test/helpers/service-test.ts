import t, { type Test } from 'tap'

/** True if this file runs a second time, against a host, for promises that both keep (test/attached). */
export const isAttached = process.env['COUNTERSIGN_TEST_ATTACHED'] === '1'

/** A test of a feature that only the service has. Not run when its file runs against a host (test/attached). */
export function serviceTest (name: string, run: (t: Test) => Promise<unknown>): void {
  if (!isAttached) void t.test(name, run)
}
