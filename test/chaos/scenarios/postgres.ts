import pg from 'pg'
import { logIn, nextCode } from '../people.js'
import { IN_MEMORY } from '../postgres-server.js'
import { orUnavailable, underLoad, type Scenario } from '../scenario.js'
import type { Stage } from '../stage.js'
import { unavailable, type PostgresFault } from '../unavailable.js'

/** The networks of both replicas to Postgres. */
const networks = (change: (network: Stage['replicas'][number]['toPostgres']) => void) => ({ replicas }: Stage) => {
  for (const { toPostgres } of replicas) change(toPostgres)
}

const scenario = (
  name: string, fault: PostgresFault, more: Pick<Scenario, 'isQuick' | 'stage'> = {}
): Scenario => ({ name, ...more, run: (stage) => unavailable(stage, fault) })

/** For servers that are killed: with `fsync`, a start after a kill reads the whole folder. */
const KILLED = { stage: { postgresOptions: IN_MEMORY } }

const slow = (delayMs: number): PostgresFault => ({
  isAway: false,
  begin: networks((network) => { network.delayMs = delayMs }),
  end: networks((network) => { network.delayMs = 0 })
})

export const postgresScenarios: Scenario[] = [
  scenario('O3 Postgres stopped fast', { begin: ({ postgres }) => postgres.stop('fast'), end: ({ postgres }) => postgres.start() }),
  scenario(
    'O3 T5 Postgres stopped immediate',
    { begin: ({ postgres }) => postgres.stop('immediate'), end: ({ postgres }) => postgres.start() },
    { ...KILLED, isQuick: true }
  ),
  scenario(
    'O3 Postgres killed (SIGKILL to all of it)',
    { begin: ({ postgres }) => postgres.kill(), end: ({ postgres }) => postgres.start() },
    KILLED
  ),
  scenario(
    'O3 Postgres paused (SIGSTOP to all of it)',
    { begin: ({ postgres }) => postgres.freeze(), end: ({ postgres }) => postgres.thaw() }
  ),
  scenario(
    'O4 Postgres half-open: connections stay, nothing answers',
    { begin: networks((network) => network.pause()), end: networks((network) => network.resume()) }
  ),
  scenario('O4 Postgres slow by 100 ms', slow(100)),
  scenario('O4 Postgres slow by 500 ms', slow(500)),
  scenario('O4 Postgres loses 5 % of what is sent', {
    isAway: false,
    begin: networks((network) => { network.lossShare = 0.05 }),
    end: networks((network) => { network.lossShare = 0 })
  }),
  scenario('O3 Postgres and Redis both killed', {
    begin: async ({ postgres, redis }) => { await Promise.all([postgres.kill(), redis.kill()]) },
    end: async ({ postgres, redis }) => { await Promise.all([postgres.start(), redis.restart()]) }
  }, KILLED),
  {
    name: "O3 One user's row locked for 10 s",
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
          await holder.query(
            'select from otp_user where user_id = (select id::text from account where username = $1) for update',
            [victim!.username]
          )
          const began = performance.now()
          const answer = await fetch(`${stage.replicas[0]!.base}/totp/login`, {
            method: 'POST',
            headers: {
              authorization: `Bearer ${access}`, 'content-type': 'application/json'
            },
            body: JSON.stringify({ token: nextCode(victim!) })
          })
          if (answer.status !== 503 || performance.now() - began > 1_600) {
            throw new Error(`whose row is locked: ${answer.status} after ${Math.round(performance.now() - began)} ms`)
          }
        },
        end: () => holder.query('commit')
      })
      await holder.end()
      return { ...seen, note: 'that user: 503; all others: as ever' }
    }
  }
]
