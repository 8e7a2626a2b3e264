import { connect, type Socket } from 'node:net'
import { freePort } from '../../helpers/free-port.js'
import { until } from '../../helpers/wait.js'
import { redisCli } from '../redis-cli.js'
import type { Scenario } from '../scenario.js'
import type { Stage } from '../stage.js'
import { unharmed, type Fault } from '../unharmed.js'

/** Without the stage's replicas: `unharmed` adds the replicas that it observes. */
const scenario = (name: string, fault: Fault, more: Pick<Scenario, 'isQuick' | 'stage'> = {}): Scenario =>
  ({ name, ...more, stage: { replicas: 0, ...more.stage }, run: (stage) => unharmed(stage, fault) })

const QUICK = { isQuick: true }

const tell = (...words: string[]) => ({ redis }: Pick<Stage, 'redis'>) => redisCli(redis.port, ...words)

/** The networks of both replicas to Redis. */
const networks = (change: (network: Stage['replicas'][number]['toRedis']) => void) => ({ replicas }: Stage) => {
  for (const { toRedis } of replicas) change(toRedis)
}

/** Pauses longer than the observed fault, and ends by itself: while all commands are paused, UNPAUSE waits too. */
const clientPause = (what: 'ALL' | 'WRITE'): Fault => ({
  begin: tell('CLIENT', 'PAUSE', '8000', what),
  end: tell('DEL', 'nothing')
})

/** Flushes Redis repeatedly during requests. This loses the budgets per network with the other keys, and has no other effect. */
function flushing (): Fault {
  let timer: NodeJS.Timeout | undefined
  let connection: Socket | undefined
  let flushes = 0
  return {
    limitsHold: false,
    note: () => `${flushes} times`,
    begin ({ redis }) {
      connection = connect(redis.port, '127.0.0.1').on('data', (bytes) => { flushes += bytes.toString().split('+OK').length - 1 })
      timer = setInterval(() => connection?.write('FLUSHALL\r\n'), 50)
    },
    end () {
      clearInterval(timer)
      connection?.destroy()
    }
  }
}

/** 2 000 keys at 3 ms each: six seconds of LOADING. Then the data is as old as the snapshot. */
const SLOW_TO_LOAD = ['--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024']

function loading (): Fault {
  let restarted = Promise.resolve()
  return {
    async begin ({ redis }) {
      await redisCli(redis.port, 'EVAL', "for i = 1, 2000 do redis.call('SET', 'filler:' .. i, string.rep('x', 100), 'EX', 600) end", '0')
      await redisCli(redis.port, 'SAVE')
      restarted = redis.restart()
      await until('LOADING', async () => (await redisCli(redis.port, 'DEL', 'nothing').catch(() => '')).startsWith('LOADING'))
    },
    end: () => restarted
  }
}

export const redisScenarios: Scenario[] = [
  scenario('O1 Redis killed, started again empty', { begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart() }, QUICK),
  scenario('O1 Redis paused (SIGSTOP)', { begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() }, QUICK),
  scenario('O1 Redis flushed, over and over', flushing(), QUICK),
  scenario(
    'O1 Redis out of memory (maxmemory 1)',
    { begin: tell('CONFIG', 'SET', 'maxmemory', '1'), end: tell('CONFIG', 'SET', 'maxmemory', '0') }
  ),
  scenario('O1 Redis a read-only replica of a dead master', {
    begin: async ({ redis }) => await redisCli(redis.port, 'REPLICAOF', '127.0.0.1', String(await freePort())),
    end: tell('REPLICAOF', 'NO', 'ONE')
  }),
  scenario('O1 Redis loading an old snapshot', loading(), { stage: { redisArgs: SLOW_TO_LOAD } }),
  scenario('O1 Redis CLIENT PAUSE ALL', clientPause('ALL')),
  scenario('O1 Redis CLIENT PAUSE WRITE', clientPause('WRITE')),
  scenario(
    'O4 Redis slow by 100 ms',
    { begin: networks((network) => { network.delayMs = 100 }), end: networks((network) => { network.delayMs = 0 }) }
  ),
  scenario(
    'O4 Redis slow by 500 ms',
    { begin: networks((network) => { network.delayMs = 500 }), end: networks((network) => { network.delayMs = 0 }) }
  ),
  scenario('O4 Redis loses 5 % of what is sent', {
    isPartial: true,
    begin: networks((network) => { network.lossShare = 0.05 }),
    end: networks((network) => { network.lossShare = 0 })
  }),
  scenario(
    'O4 Redis half-open: connections stay, nothing answers',
    { begin: networks((network) => network.pause()), end: networks((network) => network.resume()) }
  )
]
