/** An index takes no more. */
const MOST_BYTES = 255
/** PostgreSQL's text has no NUL. Halves of surrogate pairs are all kept as one and the same character: two ids would be one. */
const NOT_KEPT = /[\0\p{Cs}]/u

/**
 * Holds an id of a host's against what can be kept of it.
 *
 * @param from what answered it, and by which name, as the error says it
 * @throws {Error}
 */
export function requireId (id: unknown, from: `${string}() must ${'answer' | 'take'} "${string}"`): asserts id is string {
  const isSound = typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= MOST_BYTES && !NOT_KEPT.test(id)
  if (!isSound) throw new Error(`countersign: ${from} as 1 to ${MOST_BYTES} bytes of text`)
}
