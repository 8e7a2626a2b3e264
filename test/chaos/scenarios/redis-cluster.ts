import type { Person } from '../people.js'
import { nextCode } from '../people.js'
import { redisCli } from '../redis-cli.js'
import { crossSlotErrors, promoted, startCluster, startSentinels, type Cluster } from '../redis-cluster.js'
import type { Scenario, Seen } from '../scenario.js'
import type { Stage } from '../stage.js'
import { unharmed } from '../unharmed.js'
import { codeOf, signIn, spell, verify, WITNESSES } from '../witnesses.js'

const STAGE = { replicas: 0 }

const on = (url: string): [Record<string, string>, Record<string, string>] => [{ REDIS_URL: url }, { REDIS_URL: url }]

/** Reads the user id from the claims of the token. */
function idOf ({ access }: Pick<Person, 'access'>): string {
  return (JSON.parse(Buffer.from(access.split('.')[1]!, 'base64url').toString()) as { sub: string }).sub
}

/** Checks that no replica's log and no server reports a command with keys in two slots. */
async function noCrossSlot (seen: Seen, { nodes }: Cluster, logs: () => string[]): Promise<Seen> {
  const isClean = await crossSlotErrors(nodes) === 0 && !logs().some((log) => log.includes('CROSSSLOT'))
  return { ...seen, wrong: [...seen.wrong, ...isClean ? [] : ['CROSSSLOT']], note: `${seen.note}; no CROSSSLOT` }
}

/** A user that `unharmed` and its witnesses do not use. */
const bystander = ({ people }: Stage): Person => people[WITNESSES]!

export const redisClusterScenarios: Scenario[] = [
  {
    name: 'O2 Redis Cluster 3+3: a master killed',
    stage: STAGE,
    async run (stage) {
      const cluster = await startCluster({ teardown: stage.undo })
      const { master, replica } = await cluster.keepersOf(idOf(stage.people[0]!))
      let logs: string[] = []
      const seen = await unharmed(stage, {
        settings: on(cluster.url),
        begin: () => master.kill(),
        async end ({ replicas }) {
          await promoted(replica)
          logs = replicas.map(({ process }) => process.said())
        }
      })
      return await noCrossSlot(seen, cluster, () => logs)
    }
  },
  {
    name: 'O2 T5 Redis Cluster 3+3: a failover that loses an acknowledged write',
    stage: STAGE,
    async run (stage) {
      const cluster = await startCluster({ teardown: stage.undo })
      const person = bystander(stage)
      const userId = idOf(person)
      const { master, replica } = await cluster.keepersOf(userId)
      const keysAt = async (port: number) => Number(
        await redisCli(port, 'EVAL', "return #redis.call('KEYS', ARGV[1])", '0', `*{${userId}}:judged:*`)
      )
      let logs: string[] = []
      let note = ''
      const wrong: string[] = []
      const seen = await unharmed(stage, {
        settings: on(cluster.url),
        note: () => note,
        async begin ({ replicas }) {
          // From here on, the master's writes do not reach its replica, and none is in transit.
          replica.pause()
          await redisCli(master.port, 'CLIENT', 'KILL', 'TYPE', 'replica')
          const code = nextCode(person)
          const first = await verify(replicas[0]!.base, await signIn(replicas[0]!.base, person), code)
          if (first.status !== 200) throw new Error(`the first use of a code: ${spell(first)}`)
          const written = await keysAt(master.port)
          await master.kill()
          replica.resume()
          await promoted(replica)
          note = `${written} keys of a used code written, ${await keysAt(replica.port)} after the failover`
          if (!note.startsWith('1 keys') || !note.includes('0 after')) throw new Error(note)
          for (const { base } of replicas) {
            const again = await verify(base, await signIn(base, person), code)
            if (codeOf(again) !== 'OTP_INVALID') wrong.push(`a used code that Redis forgot: ${spell(again)}`)
          }
        },
        end: ({ replicas }) => { logs = replicas.map(({ process }) => process.said()) }
      })
      return await noCrossSlot({ ...seen, wrong: [...seen.wrong, ...wrong] }, cluster, () => logs)
    }
  },
  {
    name: 'O2 Redis Sentinel: the master killed',
    stage: STAGE,
    async run (stage) {
      const watched = await startSentinels({ teardown: stage.undo })
      return await unharmed(stage, {
        settings: on(watched.url),
        begin: () => watched.master.kill(),
        end: () => watched.failedOver()
      })
    }
  }
]
