import pg from 'pg'
import { call } from '../../helpers/http-client.js'
import { orUnavailable, pass, underLoad, type Scenario, type Seen } from '../scenario.js'
import type { Stage } from '../stage.js'

/** Records the highest number of statements that waited for a connection, on any replica. */
function watchWaiting ({ replicas }: Stage) {
  const stopping = new AbortController()
  let most = 0
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      for (const { base } of replicas) {
        const { text } = await call(base, 'GET', '/metrics')
        most = Math.max(most, Number(/^countersign_pool_waiting (\d+)/m.exec(text)?.[1]))
      }
      await pass(100)
    }
  })()
  return {
    async stop (): Promise<number> {
      stopping.abort()
      await watching
      return most
    }
  }
}

/** Two connections, both used by statements that wait for a table lock: any other statement waits at most one second. */
async function poolFull (stage: Stage): Promise<Seen> {
  const holder = new pg.Client({ connectionString: stage.postgres.url })
  await holder.connect()
  const watch = watchWaiting(stage)
  const seen = await underLoad(stage, {
    judge: orUnavailable,
    p99Ms: 1_500,
    begin: async () => {
      await holder.query('begin')
      await holder.query('lock table otp_user in exclusive mode')
    },
    end: () => holder.query('commit')
  })
  await holder.end()
  const most = await watch.stop()
  return { ...seen, wrong: most === 0 ? ['the pool was not full'] : seen.wrong, note: `at most ${most} statements waited for a connection` }
}

export const postgresPoolScenarios: Scenario[] = [
  { name: 'O3 Postgres pool of 2 full: its statements wait for a lock', stage: { settings: { DATABASE_POOL_SIZE: '2' } }, run: poolFull },
  {
    name: 'O3 Postgres restarted',
    run: (stage) => underLoad(stage, {
      judge: orUnavailable,
      p99Ms: 1_500,
      faultMs: 1_000,
      begin: async ({ postgres }) => {
        await postgres.stop('fast')
        await postgres.start()
      },
      end: () => {}
    })
  }
]
