import pg from 'pg'
import { orUnavailable, pass, underLoad, type FaultOptions, type Scenario } from '../scenario.js'
import { nextCode, logIn } from '../people.js'
import type { Stage } from '../stage.js'

/** Without the judge nothing is decided: 503 in time, nothing spent, and back by itself. */
const unavailable = (fault: Pick<FaultOptions, 'begin' | 'end'>) => async (stage: Stage) => {
  const probes = watchProbes(stage)
  const seen = await underLoad(stage, { ...fault, judge: orUnavailable, p99Ms: 1_500 })
  return { ...seen, note: await probes.stop() }
}

/** `/livez` says 200 all the while; `/readyz` says 503 and which dependency it is. */
function watchProbes ({ replicas }: Stage) {
  const stopping = new AbortController()
  let notReady = 0
  let dead = 0
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      for (const { base } of replicas) {
        const [live, ready] = await Promise.all(['livez', 'readyz'].map((probe) => fetch(`${base}/${probe}`).catch(() => null)))
        if (live?.status !== 200) dead++
        if (ready?.status === 503 && ((await ready.json()) as { postgres: string }).postgres === 'down') notReady++
      }
      await pass(100)
    }
  })()
  return {
    async stop () {
      stopping.abort()
      await watching
      if (dead > 0) throw new Error(`/livez failed ${dead} times`)
      return notReady > 0 ? '/readyz said so' : ''
    }
  }
}

export const postgresScenarios: Scenario[] = [
  {
    name: 'Postgres stopped fast',
    run: unavailable({ begin: ({ postgres }) => postgres.stop('fast'), end: ({ postgres }) => postgres.start() })
  },
  {
    name: 'Postgres stopped immediate',
    isQuick: true,
    run: unavailable({ begin: ({ postgres }) => postgres.stop('immediate'), end: ({ postgres }) => postgres.start() })
  },
  {
    name: 'Postgres killed (SIGKILL to all of it)',
    run: unavailable({ begin: ({ postgres }) => postgres.kill(), end: ({ postgres }) => postgres.start() })
  },
  {
    name: 'Postgres paused (SIGSTOP to all of it)',
    run: unavailable({ begin: ({ postgres }) => postgres.freeze(), end: ({ postgres }) => postgres.thaw() })
  },
  {
    name: 'Postgres half-open: connections stay, nothing answers',
    run: unavailable({ begin: (stage) => { for (const { toPostgres } of stage.replicas) toPostgres.pause() }, end: (stage) => { for (const { toPostgres } of stage.replicas) toPostgres.resume() } })
  },
  {
    name: 'Postgres slow by 100 ms',
    run: unavailable({ begin: (stage) => { for (const { toPostgres } of stage.replicas) toPostgres.delayMs = 100 }, end: (stage) => { for (const { toPostgres } of stage.replicas) toPostgres.delayMs = 0 } })
  },
  {
    name: 'Postgres and Redis both killed',
    run: unavailable({
      begin: async ({ postgres, redis }) => { await Promise.all([postgres.kill(), redis.kill()]) },
      end: async ({ postgres, redis }) => { await Promise.all([postgres.start(), redis.restart()]) }
    })
  },
  {
    name: "One user's row locked for 10 s",
    async run (stage) {
      const [victim, ...others] = stage.people
      const holder = new pg.Client({ connectionString: stage.postgres.url })
      await holder.connect()
      const seen = await underLoad({ ...stage, people: others }, {
        faultMs: 10_000,
        judge: orUnavailable,
        p99Ms: 500,
        begin: async () => {
          const { access } = await logIn(stage.replicas[0]!.base, victim!.username, victim!.password)
          await holder.query('begin')
          await holder.query('select from otp_user where user_id = (select id::text from account where username = $1) for update', [victim!.username])
          const began = performance.now()
          const answer = await fetch(`${stage.replicas[0]!.base}/totp/login`, {
            method: 'POST', headers: { authorization: `Bearer ${access}`, 'content-type': 'application/json' }, body: JSON.stringify({ token: nextCode(victim!) })
          })
          if (answer.status !== 503 || performance.now() - began > 1_600) throw new Error(`whose row is locked: ${answer.status} after ${Math.round(performance.now() - began)} ms`)
        },
        end: () => holder.query('commit')
      })
      await holder.end()
      return { ...seen, note: 'that user: 503; all others: as ever' }
    }
  }
]
