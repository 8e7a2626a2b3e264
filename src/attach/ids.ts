/** Limit of an indexed value. */
const MOST_BYTES = 255
/**
 * PostgreSQL's text type has no NUL. UTF-8 replaces every half of a surrogate pair by the same character, so two ids would
 * become one.
 */
const NOT_KEPT = /[\0\p{Cs}]/u

/** @throws {TypeError} if one is missing: the event of the user would not say who did it, or why */
export function requireActor ({ actorId, reason }: { actorId?: unknown, reason?: unknown } = {}, from: string): void {
  if ([actorId, reason].every((text) => typeof text === 'string' && text.trim() !== '')) return
  throw new TypeError(`countersign: ${from} must take "actorId" and "reason"`)
}

/**
 * Checks that an id of the host can be stored.
 *
 * @param from the host's function and the name of the value, for the error message
 * @throws {Error}
 */
export function requireId (id: unknown, from: `${string}() must ${'answer' | 'take'} "${string}"`): asserts id is string {
  const isSound = typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= MOST_BYTES && !NOT_KEPT.test(id)
  if (!isSound) throw new Error(`countersign: ${from} as 1 to ${MOST_BYTES} bytes of text`)
}
