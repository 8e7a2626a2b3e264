/**
 * `npm run chaos`: injects faults into the service and its dependencies, under load, on two or more replicas, with its own
 * servers. Prints a table; exits with 1 if an answer was wrong. Does not touch the machine's own servers.
 *
 *   npm run chaos -- --quick          the short form, which `.ci/run --all` runs
 *   npm run chaos -- --only paused    the scenarios whose names contain that
 *   npm run chaos -- --record         writes the table into docs/operations.md
 */
import { parseArgs } from 'node:util'
import { fillIn } from '../helpers/doc-tables.js'
import { machine } from '../helpers/machine.js'
import { createOwner } from '../helpers/teardown.js'
import { appScenarios } from './scenarios/app.js'
import { clockScenarios } from './scenarios/clocks.js'
import { guessingScenarios } from './scenarios/guessing.js'
import { mailScenarios } from './scenarios/mail.js'
import { pgbouncerScenarios } from './scenarios/pgbouncer.js'
import { postgresFailoverScenarios } from './scenarios/postgres-failover.js'
import { postgresPoolScenarios } from './scenarios/postgres-pool.js'
import { postgresScenarios } from './scenarios/postgres.js'
import { redisClusterScenarios } from './scenarios/redis-cluster.js'
import { redisScenarios } from './scenarios/redis.js'
import { rollingScenarios } from './scenarios/rolling.js'
import { socketScenarios } from './scenarios/sockets.js'
import type { Scenario, Seen } from './scenario.js'
import { prepareSetting, setStage, type Setting } from './stage.js'

const scenarios: Scenario[] = [
  ...redisScenarios, ...redisClusterScenarios, ...clockScenarios,
  ...postgresScenarios, ...postgresPoolScenarios, ...postgresFailoverScenarios, ...pgbouncerScenarios,
  ...mailScenarios, ...guessingScenarios, ...appScenarios, ...rollingScenarios, ...socketScenarios
]
const HEAD = ['fault', 'requests', 'wrong answers', 'p99 during it', 'back after', 'seen']
const DOCUMENT = 'docs/operations.md'
const ROW = (cells: readonly string[]) => `| ${cells.join(' | ')} |`

const { values: { quick, only, record } } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' }, record: { type: 'boolean', default: false }
  }
})
const chosen = scenarios.filter(({ name, isQuick }) => (!quick || isQuick === true) && name.toLowerCase().includes(only.toLowerCase()))

/** Owners of the whole run and of the current scenario. */
const owners = [createOwner()]
async function cleanUp (): Promise<void> {
  for (let owner = owners.pop(); owner !== undefined; owner = owners.pop()) await owner.end()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void cleanUp().finally(() => process.exit(1)) })

let isBad = chosen.length === 0
try {
  isBad ||= await playAll()
} finally {
  await cleanUp()
}
process.exit(isBad ? 1 : 0)

/** @returns true if an answer was wrong */
async function playAll (): Promise<boolean> {
  const beganAtMs = performance.now()
  const lines: string[] = []
  const say = (line: string) => {
    console.log(line)
    lines.push(line)
  }
  let wrong = 0
  say(ROW(HEAD))
  say(ROW(['---', '---:', '---:', '---:', '---:', '---']))
  const setting = await prepareSetting(owners[0]!.teardown)
  for (const scenario of chosen) {
    const seen = await play(scenario, setting)
    wrong += seen.wrong.length
    say(ROW([
      scenario.name, String(seen.requests), String(seen.wrong.length), `${Math.round(seen.p99Ms)} ms`,
      seen.recoveryMs === null ? 'never away' : `${Math.round(seen.recoveryMs)} ms`,
      [...new Set(seen.wrong)].slice(0, 5).join('; ') || seen.note || ''
    ]))
  }
  const summary = `${machine()}; ${chosen.length} faults in ` +
    `${Math.round((performance.now() - beganAtMs) / 1000)} s, ${wrong} wrong answers.`
  console.log(summary)
  if (record) await fillIn(DOCUMENT, { chaos: [summary, '', ...lines].join('\n') })
  return wrong > 0
}

async function play ({ stage, run }: Scenario, setting: Setting): Promise<Seen> {
  const owner = createOwner()
  owners.push(owner)
  try {
    return await run(await setStage(owner.teardown, setting, stage))
  } catch (error) {
    return { requests: 0, wrong: [error instanceof Error ? error.message : String(error)], p99Ms: 0, recoveryMs: null }
  } finally {
    await owner.end()
    owners.pop()
  }
}
