/** Characters of base64url that are 32 bits and a little more. */
const END_CHARACTERS = 6

/**
 * Returns a function that is true if a verified token came before, lately: among the last `places` other ones, more or less. It has four
 * bytes for each place, and is for caches that should hold only what comes again. By chance, it is true for a new token once in 2 ** 32.
 *
 * @param places a power of two
 */
export function createRecurrence (places: number): (token: string) => boolean {
  const ends = new Int32Array(places)
  return (token) => {
    // The end of a right signature is random.
    const end = Buffer.from(token.slice(-END_CHARACTERS), 'base64url').readInt32LE()
    const place = end & (places - 1)
    if (ends[place] === end) return true
    ends[place] = end
    return false
  }
}
