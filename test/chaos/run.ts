/**
 * `npm run chaos`: breaks what the service depends on, and the service, under load, on two replicas and more, with
 * servers of its own. Prints a table; exits with 1 if any answer was wrong. Nothing of the machine's is touched.
 *
 *   npm run chaos -- --quick          the short form, which CI runs
 *   npm run chaos -- --only paused    the scenarios whose names contain that
 */
import { parseArgs } from 'node:util'
import { appScenarios } from './scenarios/app.js'
import { clockScenarios } from './scenarios/clocks.js'
import { pgbouncerScenarios } from './scenarios/pgbouncer.js'
import { postgresFailoverScenarios } from './scenarios/postgres-failover.js'
import { postgresPoolScenarios } from './scenarios/postgres-pool.js'
import { postgresScenarios } from './scenarios/postgres.js'
import { redisClusterScenarios } from './scenarios/redis-cluster.js'
import { redisScenarios } from './scenarios/redis.js'
import { rollingScenarios } from './scenarios/rolling.js'
import { socketScenarios } from './scenarios/sockets.js'
import type { Scenario, Seen } from './scenario.js'
import { setStage } from './stage.js'

const scenarios: Scenario[] = [
  ...redisScenarios, ...redisClusterScenarios, ...clockScenarios,
  ...postgresScenarios, ...postgresPoolScenarios, ...postgresFailoverScenarios, ...pgbouncerScenarios,
  ...appScenarios, ...rollingScenarios, ...socketScenarios
]

const { values: { quick, only } } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } } })
const chosen = scenarios.filter(({ name, isQuick }) => (!quick || isQuick === true) && name.toLowerCase().includes(only.toLowerCase()))

const ROW = (cells: string[]) => `| ${cells.join(' | ')} |`
console.log(ROW(['fault', 'requests', 'wrong answers', 'p99 during it', 'back after', 'seen']))
console.log(ROW(['---', '---:', '---:', '---:', '---:', '---']))

let isBad = chosen.length === 0
for (const scenario of chosen) {
  const seen = await play(scenario)
  isBad ||= seen.wrong.length > 0
  console.log(ROW([
    scenario.name, String(seen.requests), String(seen.wrong.length), `${Math.round(seen.p99Ms)} ms`,
    seen.recoveryMs === null ? 'never away' : `${Math.round(seen.recoveryMs)} ms`, [...new Set(seen.wrong)].slice(0, 5).join('; ') || seen.note || ''
  ]))
}
process.exit(isBad ? 1 : 0)

async function play ({ stage, run }: Scenario): Promise<Seen> {
  const undos: Array<() => unknown> = []
  try {
    return await run(await setStage((undo) => undos.push(undo), stage))
  } catch (error) {
    return { requests: 0, wrong: [error instanceof Error ? error.message : String(error)], p99Ms: 0, recoveryMs: null }
  } finally {
    for (const undo of undos.reverse()) await undo()
  }
}
