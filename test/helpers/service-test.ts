import t, { type Test } from 'tap'

/** Whether this file runs a second time, against a host, where the statements are the same (test/attached). */
export const isAttached = process.env['COUNTERSIGN_TEST_ATTACHED'] === '1'

/** A test of what the service alone has: not there where its file runs a second time, against a host (test/attached). */
export function serviceTest (name: string, run: (t: Test) => Promise<unknown>): void {
  if (!isAttached) void t.test(name, run)
}
