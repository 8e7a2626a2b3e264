/**
 * A key of ours: namespace, then whom it is about as hash tag, so that all of a user's keys lie in one slot of a
 * cluster. Ids are a host's own strings: what could end the tag is escaped.
 */
export function redisKey (namespace: string, about: string, ...parts: string[]): string {
  return `${namespace}:{${/^[\w.:@/+-]+$/.test(about) ? about : encodeURIComponent(about)}}:${parts.join(':')}`
}
