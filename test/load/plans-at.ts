import { serviceMigrations } from '../../migrations/index.js'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { sweep } from '../../src/cleanup/cleanup.js'
import { createDb } from '../../src/tables/db.js'
import { emptyDatabase } from '../helpers/database.js'
import { explainAll, type Plan } from '../helpers/plans.js'
import { freshKeys } from '../helpers/settings.js'
import type { Owner } from '../helpers/teardown.js'
import { live } from './life.js'
import { putManyUsers } from './many-users.js'

/** EVENTS_DAYS by default. */
const DAYS = 400

/** By statement, and by `prepared:` and the statement. */
export interface PlansAt { plans: Map<string, Plan>, livesMs: Array<Map<string, number>> }

/**
 * What Postgres does for each statement of the service, in a database with so many users.
 *
 * @param lives that are timed, after the one that is explained
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
  await live(...apps, 'ada').then(() => sweep(apps[0]!.database, DAYS)).finally(explaining.stop)
  const livesMs: PlansAt['livesMs'] = []
  for (let i = 0; i < lives; i++) livesMs.push(await live(...apps, `lovelace-${i}`))
  const generic = [...explaining.generic].map(([statement, plan]) => [`prepared: ${statement}`, plan] as const)
  return { plans: new Map([...explaining.plans, ...generic]), livesMs }
}

/** A look-up goes down an index of a few levels and to one row: with a thousand rows the index has two levels, with millions four. */
const DEEPER_PAGES = 4
/** A row that is written goes into each index of its table, up to three here, and splits a page now and then. */
const WRITTEN_PAGES = 9
/** As many as somebody's life ends sessions here. */
const ENDED_ROWS = 10

export interface Difference { statement: string, few: string, many: string }

/** Where more users make Postgres go another way, or touch more pages than deeper indexes explain. */
export function differences (few: PlansAt['plans'], many: PlansAt['plans']): Difference[] {
  return [...few].flatMap(([statement, { nodes }]) => {
    const other = many.get(statement)?.nodes
    if (other === undefined || isAlike(nodes, other)) return []
    const say = (of: typeof nodes) => of.map(({ what, pages }) => `${what} (${pages})`).join(', ')
    return [{ statement, few: say(nodes), many: say(other) }]
  })
}

function isAlike (givenFew: Plan['nodes'], givenMany: Plan['nodes']): boolean {
  // A small table is read whole where a large one is not: another way that is no longer is as good.
  if (givenMany[0]!.pages <= givenFew[0]!.pages + DEEPER_PAGES) return true
  const [few, many] = [withoutBitmaps(givenFew), withoutBitmaps(givenMany)]
  if (few.length !== many.length || few.some(({ what }, i) => what !== many[i]!.what)) return false
  const lookUps = few.filter(({ what }) => what.includes('Index'))
  const written = few.reduce((sum, node) => sum + node.written, 0)
  // What ends meanwhile is found by whoever polls, here or there: each row on a page of its own.
  const moreRows = (i: number): number => Math.min(Math.max(many[i]!.rows - few[i]!.rows, 0), ENDED_ROWS)
  // Each transaction that is open on the server meanwhile, in other tests, is looked up by the feed.
  const opened = Math.max(openIds(many) - openIds(few), 0) * 2 * DEEPER_PAGES
  const found = few.reduce((sum, { what }, i) => what.includes('Index') ? sum + moreRows(i) : sum, 0)
  return many[0]!.pages <= few[0]!.pages + DEEPER_PAGES * lookUps.length + WRITTEN_PAGES * written + found + opened &&
    few.every(({ what, pages, loops }, i) => !what.includes('Index') || many[i]!.pages <= pages + DEEPER_PAGES * Math.max(loops, 1) + moreRows(i) + opened)
}

/** How many open ids the feed was given by the list of a snapshot. Other statements read from functions too, as many rows at any size. */
const openIds = (nodes: Plan['nodes']): number => nodes.reduce((sum, { what, rows }) => what === 'Function Scan' ? sum + rows : sum, 0)

/** By the same index, its rows are read one by one or, sorted by page first, together: the planner's choice where they are as many as pages. */
function withoutBitmaps (nodes: Plan['nodes']): Plan['nodes'] {
  return nodes.flatMap((node, i) => {
    const index = /^Bitmap Index Scan (.+)$/.exec(nodes[i + 1]?.what ?? '')?.[1]
    if (node.what.startsWith('Bitmap Heap Scan') && index !== undefined) return [{ ...node, what: `Index Scan ${index}` }]
    // An index gives its order along; after a bitmap, the same rows are sorted.
    const isOrder = node.what.startsWith('Sort') && nodes[i + 1]?.what.startsWith('Bitmap Heap Scan')
    return isOrder === true || node.what.startsWith('Bitmap Index Scan') ? [] : [node]
  })
}
