import pg from 'pg'

/** A node of a plan from `explain (format json)`. */
interface Node {
  'Node Type': string
  'Parent Relationship'?: string
  'Index Name'?: string
  'Relation Name'?: string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  'Actual Loops': number
  'Actual Rows': number
  Plans?: Node[]
}

/**
 * Work of Postgres for a statement: for each node of its plan in order, its kind and index or table, the touched pages
 * including its children, the loops, the returned rows and the written rows.
 */
export interface Plan { nodes: Array<{ what: string, pages: number, loops: number, rows: number, written: number }> }

const EXPLAINABLE = /^\s*(with|select|insert|update|delete)\b/i
const BEGINS = /^\s*(begin|start transaction)\b/i
const ENDS = /^\s*(commit|rollback)\s*;?\s*$/i

/** Counter for names of prepared statements, so that each name is used once per connection. */
let count = 0

type Query = (this: pg.Client, ...args: unknown[]) => Promise<pg.QueryResult>

/**
 * From now on, explains each statement of this process before it runs: executes it with `explain` and rolls back. Uses the plan
 * for its parameters and, outside of transactions, also the generic plan of a prepared statement. Returns plans by statement
 * text; a repeated statement overwrites its plan. Needs its own process with one client.
 */
export function explainAll (): { plans: Map<string, Plan>, generic: Map<string, Plan>, stop (): void } {
  const plans = new Map<string, Plan>()
  const generic = new Map<string, Plan>()
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const plain = prototype.query
  const inTransaction = new WeakSet<pg.Client>()

  async function explain (client: pg.Client, text: string, values: unknown[]): Promise<void> {
    const [begin, takeBack] = inTransaction.has(client) ? ['savepoint explained', 'rollback to savepoint explained'] : ['begin', 'rollback']
    const into = async (found: Map<string, Plan>, explained: string, given: unknown[]) => {
      const { rows } = await plain.call(client, { text: `explain (analyze, buffers, format json, timing off) ${explained}`, values: given })
      found.set(text, { nodes: nodesOf((rows[0] as { 'QUERY PLAN': Array<{ Plan: Node }> })['QUERY PLAN'][0]!.Plan) })
    }
    await plain.call(client, begin)
    try {
      await into(plans, text, values)
    } finally {
      await plain.call(client, takeBack)
    }
    if (inTransaction.has(client)) return
    // A concurrent poll takes the next number.
    const name = `explained_${count++}`
    await plain.call(client, begin)
    try {
      await plain.call(client, 'set local plan_cache_mode = force_generic_plan')
      await plain.call(client, `prepare ${name} as ${text}`)
      await into(generic, `execute ${name}${values.length === 0 ? '' : `(${values.map(literal).join(', ')})`}`, [])
    } finally {
      await plain.call(client, takeBack)
    }
  }

  prototype.query = async function (...args) {
    const [given] = args as [string | { text: string, values?: unknown[] }]
    const { text, values = [] } = typeof given === 'string' ? { text: given } : given
    if (EXPLAINABLE.test(text)) await explain(this, text, values)
    const result = await plain.apply(this, args)
    if (BEGINS.test(text)) inTransaction.add(this)
    if (ENDS.test(text)) inTransaction.delete(this)
    return result
  }
  return { plans, generic, stop () { prototype.query = plain } }
}

/** Formats a value like pg; Postgres infers the type from the parameter. */
function literal (value: unknown): string {
  const sent = (pg as unknown as { utils: { prepareValue (value: unknown): string | Buffer | null } }).utils.prepareValue(value)
  if (Buffer.isBuffer(sent)) return `'\\x${sent.toString('hex')}'`
  return sent === null ? 'null' : pg.escapeLiteral(sent)
}

function nodesOf (node: Node): Plan['nodes'] {
  const what = [node['Node Type'], node['Index Name'] ?? node['Relation Name'] ?? ''].join(' ').trim()
  return [
    {
      what,
      pages: node['Shared Hit Blocks'] + node['Shared Read Blocks'],
      loops: node['Actual Loops'],
      rows: node['Actual Rows'] * node['Actual Loops'],
      written: writtenBy(node)
    },
    ...(node.Plans ?? []).flatMap(nodesOf)
  ]
}

/** A node that changes a table writes the rows of its child. */
function writtenBy ({ 'Node Type': type, Plans = [] }: Node): number {
  return type === 'ModifyTable'
    ? Plans.filter((plan) => plan['Parent Relationship'] === 'Outer').reduce((sum, plan) => sum + plan['Actual Rows'], 0)
    : 0
}

/** Returns a short name of a statement, for a table. */
export function nameOf (text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 70)
}
