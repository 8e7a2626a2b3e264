import type { App } from './app.js'
import { doorOf } from './door.js'
import { until } from './wait.js'

/** Waits until the app, the service or a host, is ready; if `redis` is given, also until Redis is in that state. */
export async function untilReady (app: App, redis?: 'up' | 'down'): Promise<void> {
  await until(`an app to be ready, Redis ${redis ?? 'or not'}`, async () => {
    const answer = await app.inject(doorOf(app).path('/readyz'))
    return answer.statusCode === 200 && (redis === undefined || answer.json<{ redis: string }>().redis === redis)
  })
}
