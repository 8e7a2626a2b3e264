import { NUDGE_MS } from './poll-timer.js'

/**
 * Tells the other replicas of news: at once, then once for all that comes within the time by which they wait after a message. A busy
 * replica ends hundreds of sessions a second, and each message costs every replica as much as a part of a request.
 */
export function createTelling (publish: () => void) {
  let resting: NodeJS.Timeout | undefined
  let hasNews = false

  function tell (): void {
    if (resting !== undefined) {
      hasNews = true
      return
    }
    publish()
    resting = setTimeout(() => {
      resting = undefined
      if (!hasNews) return
      hasNews = false
      tell()
    }, NUDGE_MS).unref()
  }

  return { tell, stop: () => { clearTimeout(resting) } }
}
