import { parseArgs } from 'node:util'
import { readVariable } from '../environment.js'
import { serversFault } from '../db/connect.js'
import { migrate, migrationSql, tablesVersion } from '../attach/migrations.js'
import { upToDate } from '../db/migrate.js'

const DESCRIPTION = 'The tables of an attached Countersign, at DATABASE_URL: up to date, what is still to do, or the same as SQL.'

/**
 * For a host's deployments: the tables in its own database. Apart from the service's commands, since a host has none of
 * what those stand on.
 *
 * @returns the exit code: 1 if it failed, or if there is something to do; 2 if it was misused
 */
export async function tablesCommand (args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { positionals: [what = '', ...more], values: { schema, help } } = parse(args)
  if (help === true) {
    console.log(`Usage: countersign tables ${what === '' ? 'up|status|sql' : what} [options]\n\n${DESCRIPTION}\n\n  --schema <name>  where they are: countersign by default`)
    return 0
  }
  const tables = schema === undefined ? {} : { schema }
  if (what === 'sql' && more.length === 0) {
    console.log(await migrationSql(tables))
    return 0
  }
  if (!['up', 'status'].includes(what) || more.length > 0) {
    console.error('countersign tables up, status or sql; --help says more')
    return 2
  }
  const databaseUrl = readVariable(env, 'DATABASE_URL', true)
  const fault = serversFault(databaseUrl)
  if (fault !== undefined) {
    console.error(`DATABASE_URL must ${fault}.`)
    return 1
  }
  if (what === 'up') {
    const done = await migrate(databaseUrl, tables)
    const { unknown } = await tablesVersion(databaseUrl, tables)
    console.log(done.length === 0 ? upToDate(unknown) : done.map((name) => `up: ${name}`).join('\n'))
    return 0
  }
  const { version, pending, unknown } = await tablesVersion(databaseUrl, tables)
  console.log([
    `at: ${version ?? 'nothing'}`,
    ...pending.map((name) => `to do: ${name}`),
    ...unknown.map((name) => `of a newer version: ${name}`)
  ].join('\n'))
  return pending.length === 0 ? 0 : 1
}

function parse (args: string[]): { positionals: string[], values: { schema?: string | undefined, help?: boolean | undefined } } {
  try {
    return parseArgs({ args, allowPositionals: true, options: { schema: { type: 'string' }, help: { type: 'boolean' } } })
  } catch {
    return { positionals: [], values: {} }
  }
}
