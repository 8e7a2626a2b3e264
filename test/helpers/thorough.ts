/**
 * True in `npm test -- --all`, which `.ci/run --all` runs. Then each slow proof has its full size; otherwise a light form of it, which
 * checks the same by fewer cases.
 */
export const isThorough = process.env['COUNTERSIGN_TEST_ALL'] === '1'

/** Returns the size of a proof, or its cases: the first value in a usual run, the second one in a thorough run. */
export const sized = <Value> (light: Value, full: Value): Value => isThorough ? full : light
