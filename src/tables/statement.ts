import type { CompiledQuery, Kysely, OperationNode, QueryResult, RootOperationNode } from 'kysely'
import { execute, type Db, type Tables } from './db.js'
import { compileStatement, Placeholder } from './statement-compiler.js'

/**
 * Values that a statement gets at each execution, as its builder sees them. The builder must only place them: it runs once,
 * before there are values, and gets placeholders of their types. An array is placed by `eb.fn.any(eb.val(p.ids))`.
 */
export type Parameters<Values extends object> = Values

/** Facts of the database that may decide about the text of a statement: it is compiled once for each combination. */
export type Facts = Pick<Db, 'schema' | 'table' | 'hasAccounts' | 'destinations'>

/** Returns placeholders of values by their names, the same one for each use of a name. */
function placeholders (): object {
  const made = new Map<string | symbol, Placeholder>()
  return new Proxy({}, {
    get (_, name) {
      const placeholder = made.get(name) ?? new Placeholder((_db, values) => values[name as string])
      made.set(name, placeholder)
      return placeholder
    }
  })
}

/** Places a value of the database's own, such as the id of a new event, that is read at each execution. */
export const placed = <Value>(read: (db: Db) => Value): Value => new Placeholder(read) as Value

/** Query of the builder, or of a template of SQL. */
export interface Query<Row = unknown> {
  compile (executor: Kysely<Tables>): CompiledQuery<Row>
  toOperationNode (): OperationNode
}

/** Row of a query's result. */
export type RowOf<Built> = Built extends { compile (...executor: never[]): CompiledQuery<infer Row> } ? Row : never

/** The values may be left out where the statement has none. */
type Given<Values> = object extends Values ? [values?: Values] : [values: Values]

export interface Statement<Values, Row> {
  readonly name: string
  /** Compiles for a database, or returns what was compiled for it before. */
  compile (db: Db): CompiledQuery<Row>
  /** Returns all rows. */
  all (db: Db, ...values: Given<Values>): Promise<Row[]>
  /** Returns the row of a statement that has at most one. */
  first (db: Db, ...values: Given<Values>): Promise<Row | undefined>
  /** Returns the number of rows that an insert, update or delete without a `with` before it has changed. */
  changed (db: Db, ...values: Given<Values>): Promise<number>
}

/** Each statement by its name, for the test that compares them all with the tables. */
export const statements = new Map<string, Statement<never, unknown>>()

/**
 * Makes a statement that is built and compiled at its first execution, and prepared by the driver. To build it each time would
 * cost more than the driver's part in it.
 *
 * @param name names the statement in tests; unique
 */
export function statement<Values extends object, Built extends Query> (
  name: string, build: (db: Kysely<Tables>, p: Parameters<Values>, facts: Facts) => Built
): Statement<Values, RowOf<Built>> {
  type Row = RowOf<Built>
  if (statements.has(name)) throw new Error(`There are two statements named ${name}`)

  function compile (db: Db): CompiledQuery<Row> {
    const key = (db.hasAccounts ? 2 : 0) + (db.destinations.length > 0 ? 1 : 0)
    const known = db.compiled.get(made)?.[key]
    if (known !== undefined) return known as CompiledQuery<Row>
    const kysely = db.schema === undefined ? db.kysely : db.kysely.withSchema(db.schema)
    const built = build(kysely, placeholders() as Parameters<Values>, db)
    const compiled = compileStatement(built.toOperationNode() as RootOperationNode)
    const variants = db.compiled.get(made) ?? []
    variants[key] = compiled
    db.compiled.set(made, variants)
    return compiled as CompiledQuery<Row>
  }

  async function run (db: Db, values: object = {}): Promise<QueryResult<Row>> {
    const compiled = compile(db)
    const given = values as Record<string, unknown>
    const parameters = compiled.parameters.map((value) => value instanceof Placeholder ? value.read(db, given) : value)
    const query = { ...compiled, parameters }
    if (db.watch === null) return await execute<Row>(db, name, query)
    let succeeded = false
    try {
      const result = await execute<Row>(db, name, query)
      succeeded = true
      return result
    } finally {
      db.watch.ran(parameters, succeeded)
    }
  }

  const made: Statement<Values, Row> = {
    name,
    compile,
    all: async (db, ...[values]) => (await run(db, values)).rows,
    first: async (db, ...[values]) => (await run(db, values)).rows[0],
    changed: async (db, ...[values]) => Number((await run(db, values)).numAffectedRows ?? 0)
  }
  statements.set(name, made as Statement<never, unknown>)
  return made
}
