import { serviceMigrations } from '../../migrations/index.js'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { cleanUp } from '../../src/cleanup/cleanup.js'
import { createDb } from '../../src/tables/db.js'
import { emptyDatabase } from '../helpers/database.js'
import { explainAll, type Plan } from '../helpers/plans.js'
import { freshKeys } from '../helpers/settings.js'
import type { Owner } from '../helpers/teardown.js'
import { live } from './life.js'
import { putManyUsers } from './many-users.js'

/** Default of EVENTS_DAYS. */
const DAYS = 400

/** Plans by statement, and by `prepared:` and the statement. */
export interface PlansAt { plans: Map<string, Plan>, livesMs: Array<Map<string, number>> }

/**
 * Returns the plan of each statement of the service, in a database with `users` users.
 *
 * @param lives number of timed lives after the explained one
 */
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
  await live(...apps, 'ada').then(() => cleanUp(apps[0]!.database, DAYS)).finally(explaining.stop)
  const livesMs: PlansAt['livesMs'] = []
  for (let i = 0; i < lives; i++) livesMs.push(await live(...apps, `lovelace-${i}`))
  const generic = [...explaining.generic].map(([statement, plan]) => [`prepared: ${statement}`, plan] as const)
  return { plans: new Map([...explaining.plans, ...generic]), livesMs }
}

/** A look-up reads a few index levels and one row. The index has two levels with a thousand rows and four with millions. */
const DEEPER_PAGES = 4
/** A written row goes into each index of its table, here up to three, and sometimes splits a page. */
const WRITTEN_PAGES = 9
/** Number of sessions that one life ends here. */
const ENDED_ROWS = 10

export interface Difference { statement: string, few: string, many: string }

/** Returns the statements for which more users change the plan, or add more pages than deeper indexes explain. */
export function differences (few: PlansAt['plans'], many: PlansAt['plans']): Difference[] {
  return [...few].flatMap(([statement, { nodes }]) => {
    const other = many.get(statement)?.nodes
    if (other === undefined || isAlike(nodes, other)) return []
    const say = (of: typeof nodes) => of.map(({ what, pages }) => `${what} (${pages})`).join(', ')
    return [{ statement, few: say(nodes), many: say(other) }]
  })
}

function isAlike (givenFew: Plan['nodes'], givenMany: Plan['nodes']): boolean {
  // Postgres reads a small table as a whole and a large one by index. A different plan that touches no more pages is as good.
  if (givenMany[0]!.pages <= givenFew[0]!.pages + DEEPER_PAGES) return true
  const [few, many] = [withoutBitmaps(givenFew), withoutBitmaps(givenMany)]
  if (few.length !== many.length || few.some(({ what }, i) => what !== many[i]!.what)) return false
  const lookUps = few.filter(({ what }) => what.includes('Index'))
  const written = few.reduce((sum, node) => sum + node.written, 0)
  // Any poller, here or in another test, can find the sessions that end during the run: each row on its own page.
  const moreRows = (i: number): number => Math.min(Math.max(many[i]!.rows - few[i]!.rows, 0), ENDED_ROWS)
  // The revocation poller looks up each transaction that is open on the server, also those of other tests.
  const opened = Math.max(openIds(many) - openIds(few), 0) * 2 * DEEPER_PAGES
  const found = few.reduce((sum, { what }, i) => what.includes('Index') ? sum + moreRows(i) : sum, 0)
  return many[0]!.pages <= few[0]!.pages + DEEPER_PAGES * lookUps.length + WRITTEN_PAGES * written + found + opened &&
    few.every(({ what, pages, loops }, i) =>
      !what.includes('Index') || many[i]!.pages <= pages + DEEPER_PAGES * Math.max(loops, 1) + moreRows(i) + opened)
}

/**
 * Returns the number of open transaction ids that the poller got from the list of a snapshot. Other statements also read from
 * functions, with the same number of rows at any size.
 */
const openIds = (nodes: Plan['nodes']): number => nodes.reduce((sum, { what, rows }) => what === 'Function Scan' ? sum + rows : sum, 0)

/** With the same index, Postgres reads rows one by one or sorted by page. The planner chooses when rows are about as many as pages. */
function withoutBitmaps (nodes: Plan['nodes']): Plan['nodes'] {
  return nodes.flatMap((node, i) => {
    const index = /^Bitmap Index Scan (.+)$/.exec(nodes[i + 1]?.what ?? '')?.[1]
    if (node.what.startsWith('Bitmap Heap Scan') && index !== undefined) return [{ ...node, what: `Index Scan ${index}` }]
    // An index returns its rows in order; after a bitmap, Postgres sorts the same rows.
    const isOrder = node.what.startsWith('Sort') && nodes[i + 1]?.what.startsWith('Bitmap Heap Scan')
    return isOrder === true || node.what.startsWith('Bitmap Index Scan') ? [] : [node]
  })
}
