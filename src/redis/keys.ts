/**
 * Returns a key: the namespace, then the subject as hash tag, so that all keys of a user are in one slot of a cluster.
 * Ids are strings of the host: characters that could end the tag are escaped.
 */
export function redisKey (namespace: string, about: string, ...parts: string[]): string {
  return `${namespace}:{${/^[\w.:@/+-]+$/.test(about) ? about : encodeURIComponent(about)}}:${parts.join(':')}`
}
