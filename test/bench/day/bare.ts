/** A fleet that answers everything at once, without a store and without a check: what a day costs at this pace before any work is done. */
import { startRedisServer } from '../../helpers/redis-server.js'
import type { Owner } from '../../helpers/teardown.js'
import type { Stage } from '../stage.js'
import type { Fleet } from './fleet.js'
import { addressOf, life } from './ours.js'

export async function bareFleet (owner: Owner, stage: Pick<Stage, 'limit' | 'settings'>, replicas: number, people: number): Promise<Fleet> {
  const redis = await startRedisServer(owner)
  const processes = []
  for (let i = 0; i < replicas; i++) processes.push(await stage.limit('day'))
  return {
    name: 'bare routes',
    isLimit: true,
    processes,
    // Nothing of it is used. A database of another name, so that no connection of the other fleets counts.
    databaseUrl: Object.assign(new URL(stage.settings['DATABASE_URL']!), { pathname: '/template1' }).href,
    redis,
    lives: Array.from({ length: people }, (_, i) => life(`person-${i}`, Buffer.alloc(20), 0, addressOf(i)))
  }
}
