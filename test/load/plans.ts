/**
 * Compares the plan and the touched pages of each statement with a million users and with a thousand; then the duration
 * of the operations at both sizes. Not part of `npm test`, which compares with twenty thousand users.
 *
 *   node build/test/load/plans.js [users]      some minutes; DATABASE_URL, or PostgreSQL on 127.0.0.1:5432
 */
import { quantile } from '../bench/generator.js'
import { nameOf } from '../helpers/plans.js'
import { findStores } from '../helpers/stores.js'
import { createOwner } from '../helpers/teardown.js'
import { differences, plansAt, type PlansAt } from './plans-at.js'

const FEW = 1_000
const LIVES = 30

const many = Number(process.argv[2] ?? 1_000_000)
const { databaseUrl } = await findStores(process.env)
if (databaseUrl === undefined) throw new Error('needs PostgreSQL')
const owner = createOwner()
try {
  const at = { few: await plansAt(owner, databaseUrl, FEW, LIVES), many: await plansAt(owner, databaseUrl, many, LIVES) }
  console.log(`| statement | goes by | pages with ${FEW} users | with ${many} |\n| --- | --- | ---: | ---: |`)
  for (const [text, { nodes }] of at.few.plans) {
    const other = at.many.plans.get(text)
    if (other === undefined) continue
    const goesBy = [...new Set(nodes.map(({ what }) => / (\w+)$/.exec(what)?.[1]).filter(Boolean))].join(', ')
    console.log(`| \`${nameOf(text)}\` | ${goesBy} | ${nodes[0]!.pages} | ${other.nodes[0]!.pages} |`)
  }
  console.log(`\n| operation | p50 ms with ${FEW} users | with ${many} | p99 ms | with ${many} |\n| --- | ---: | ---: | ---: | ---: |`)
  for (const operation of at.few.livesMs[0]!.keys()) {
    const [few, lots] = [times(at.few, operation), times(at.many, operation)]
    const ms = [0.5, 0.99].flatMap((share) => [quantile(few, share), quantile(lots, share)])
    console.log(`| ${operation} | ${ms.map((value) => value.toFixed(1)).join(' | ')} |`)
  }
  const found = differences(at.few.plans, at.many.plans)
  for (const { statement, few, many } of found) console.log(`\nNOT THE SAME: ${statement}\n  ${few}\n  ${many}`)
  process.exitCode = found.length === 0 ? 0 : 1
} finally {
  await owner.end()
}

function times ({ livesMs }: PlansAt, operation: string): number[] {
  return livesMs.map((life) => life.get(operation) ?? NaN).sort((a, b) => a - b)
}
