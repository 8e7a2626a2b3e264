import { execFileSync } from 'node:child_process'
import type { RedisServer } from '../../helpers/redis-server.js'
import type { Stage } from '../stage.js'
import { pass, underLoad, unlike, type FaultOptions, type Scenario } from '../scenario.js'

/** Redis is speed: whatever happens to it, every answer is what it would have been. */
const unharmed = (fault: Pick<FaultOptions, 'begin' | 'end'>) => (stage: Stage) => underLoad(stage, {
  ...fault,
  judge: unlike,
  p99Ms: 500,
  isBack: allUp
})

async function allUp ({ replicas }: Stage): Promise<boolean> {
  const states = await Promise.all(replicas.map(async ({ base }) => ((await (await fetch(`${base}/readyz`)).json()) as { redis: string }).redis))
  return states.every((state) => state === 'up')
}

function command ({ port }: RedisServer, ...words: string[]): string {
  return execFileSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' })
}

export const redisScenarios: Scenario[] = [
  {
    name: 'Redis killed, started again empty',
    isQuick: true,
    run: unharmed({ begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart() })
  },
  {
    name: 'Redis paused (SIGSTOP)',
    isQuick: true,
    run: unharmed({ begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() })
  },
  {
    name: 'Redis flushed, over and over',
    isQuick: true,
    run: unharmed({
      begin: async ({ redis }) => {
        for (let i = 0; i < 10; i++) {
          command(redis, 'FLUSHALL')
          await pass(50)
        }
      },
      end: () => {}
    })
  }
]
