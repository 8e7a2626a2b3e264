import type { App } from './app.js'
import { doorOf } from './door.js'
import { until } from './wait.js'

/** Waits until an app, the service or a host, says that it can serve; and that Redis is in that state, if one is named. */
export async function untilReady (app: App, redis?: 'up' | 'down'): Promise<void> {
  await until(`an app to be ready, Redis ${redis ?? 'or not'}`, async () => {
    const answer = await app.inject(doorOf(app).path('/readyz'))
    return answer.statusCode === 200 && (redis === undefined || answer.json<{ redis: string }>().redis === redis)
  })
}
