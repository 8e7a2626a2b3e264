/** Parts of a `pg_snapshot` as text, `xmin:xmax:open ids`. */
export function boundsOf (snapshot: string): { xmin: string, xmax: string } {
  const [xmin, xmax] = snapshot.split(':') as [string, string]
  return { xmin, xmax }
}

const openIdsOf = (snapshot: string): string[] => snapshot.split(':')[2]?.split(',').filter((id) => id !== '') ?? []

/**
 * Returns true if every transaction that the earlier snapshot saw as finished had finished in the later one too. Of two
 * snapshots of one server that is true one way or the other.
 */
export function isWithin (earlier: string, later: string): boolean {
  if (earlier === later) return true
  const xmax = BigInt(boundsOf(earlier).xmax)
  if (xmax > BigInt(boundsOf(later).xmax)) return false
  const openInEarlier = new Set(openIdsOf(earlier))
  return openIdsOf(later).every((id) => BigInt(id) >= xmax || openInEarlier.has(id))
}
