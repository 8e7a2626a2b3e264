import { serviceMigrations } from '../../migrations/index.js'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { migrateUp } from '../../src/db/migrate.js'
import { openPostgres } from '../../src/db/pool.js'
import { createDb } from '../../src/db/tables.js'
import { emptyDatabase } from '../helpers/database.js'
import { explainAll, type Plan } from '../helpers/plans.js'
import { freshKeys } from '../helpers/settings.js'
import type { Owner } from '../helpers/teardown.js'
import { live } from './life.js'
import { putManyUsers } from './many-users.js'

/** Lives that are timed, after the one that is explained. */
export interface PlansAt { plans: Map<string, Plan>, livesMs: Array<Map<string, number>> }

/** What Postgres does for each statement of the service, in a database with so many users. */
export async function plansAt (owner: Owner, server: string, users: number, lives = 0): Promise<PlansAt> {
  const url = await emptyDatabase(owner, server)
  const pool = openPostgres(url, 1, () => {}, 0)
  await migrateUp(pool.dialect, serviceMigrations)
  await putManyUsers(createDb(pool.dialect), users)
  await pool.close()

  const config = readConfig({ ...freshKeys(), DATABASE_URL: url, NETWORK_LIMITS: 'off', LOG_LEVEL: 'silent' })
  const apps = await Promise.all([buildApp(config), buildApp(config)])
  for (const app of apps) owner.teardown(() => app.close())
  for (const app of apps) await app.ready()
  const explaining = explainAll()
  await live(...apps, 'ada').finally(explaining.stop)
  const livesMs: PlansAt['livesMs'] = []
  for (let i = 0; i < lives; i++) livesMs.push(await live(...apps, `lovelace-${i}`))
  return { plans: explaining.plans, livesMs }
}

/** The deepest tree here has three levels above its leaves' neighbours more than the shallowest: what one look-up may cost more. */
const DEEPER_PAGES = 2

export interface Difference { statement: string, few: string, many: string }

/** Where more users make Postgres go another way, or touch more pages than deeper trees explain. */
export function differences (few: PlansAt['plans'], many: PlansAt['plans']): Difference[] {
  return [...few].flatMap(([statement, { nodes }]) => {
    const other = many.get(statement)?.nodes
    if (other === undefined) return []
    const say = (of: typeof nodes) => of.map(({ what, pages }) => `${what} (${pages})`).join(', ')
    const same = nodes.length === other.length && nodes.every(({ what, pages, loops }, i) =>
      other[i]!.what === what && other[i]!.pages <= pages + DEEPER_PAGES * Math.max(loops, 1) * looksUp(nodes.slice(i)))
    return same ? [] : [{ statement, few: say(nodes), many: say(other) }]
  })
}

/** How many look-ups a node and those below it do. */
function looksUp (nodes: Plan['nodes']): number {
  return nodes.filter(({ what }) => /Index|Insert|Update|Delete|ModifyTable/.test(what)).length
}
