import { parseArgs } from 'node:util'
import { readVariable } from '../config/environment.js'
import { serversFault } from '../postgres/connect.js'
import { migrate, migrationSql, tablesVersion } from '../attach/tables.js'
import { upToDate } from '../postgres/migrator.js'
import { lineOf } from '../postgres/unusable.js'
import { asciiJson } from './io.js'
import { tableCommands } from './table-commands.js'

const DESCRIPTION = 'The tables of an attached host, at DATABASE_URL.'

/**
 * Runs `countersign tables`, for the deployments of a host: it manages the tables in the host's database. It is separate
 * from the service's commands because a host does not install their dependencies.
 *
 * @returns the exit code: 1 if it failed or migrations are pending; 2 for wrong arguments
 */
export async function tablesCommand (args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { positionals: [command = '', ...more], values: { schema, help, json = false } } = parse(args)
  if (help === true) {
    console.log(helpOf(command))
    return 0
  }
  if (!Object.hasOwn(tableCommands, command) || more.length > 0) {
    console.error(`countersign tables ${Object.keys(tableCommands).join(', ')}; --help says more`)
    return 2
  }
  try {
    const print: Print = (value, text) => { console.log(json ? asciiJson(value) : text) }
    return await run(command, env, schema === undefined ? {} : { schema }, print)
  } catch (error) {
    const message = lineOf(error as Error)
    console.error(json ? asciiJson({ error: { command, message } }) : message)
    return 1
  }
}

type Print = (value: object, text: string) => void

async function run (command: string, env: NodeJS.ProcessEnv, tables: { schema?: string }, print: Print): Promise<number> {
  if (command === 'sql') {
    const sql = await migrationSql(tables)
    print({ sql }, sql)
    return 0
  }
  const databaseUrl = readVariable(env, 'DATABASE_URL', true)
  const fault = serversFault(databaseUrl)
  if (fault !== undefined) throw new Error(`DATABASE_URL must ${fault}.`)
  if (command === 'up') {
    const done = await migrate(databaseUrl, tables)
    const { unknown } = await tablesVersion(databaseUrl, tables)
    print({ done, unknown }, done.length === 0 ? upToDate(unknown) : done.map((name) => `up: ${name}`).join('\n'))
    return 0
  }
  const { version, pending, unknown } = await tablesVersion(databaseUrl, tables)
  print({ version, pending, unknown }, [
    `at: ${version ?? 'nothing'}`,
    ...pending.map((name) => `to do: ${name}`),
    ...unknown.map((name) => `of a newer version: ${name}`)
  ].join('\n'))
  return pending.length === 0 ? 0 : 1
}

function helpOf (command: string): string {
  const commands = Object.entries(tableCommands).map(([name, description]) => `  ${name.padEnd(16)} ${description}`)
  return [
    `Usage: countersign tables ${command === '' ? 'up|status|sql' : command} [options]`, '', DESCRIPTION, '', ...commands, '',
    '  --schema <name>  schema of the tables: countersign by default', '  --json           answer in JSON, a value on each line'
  ].join('\n')
}

interface Parsed { positionals: string[], values: { schema?: string | undefined, help?: boolean | undefined, json?: boolean | undefined } }

function parse (args: string[]): Parsed {
  const options = { schema: { type: 'string' }, help: { type: 'boolean' }, json: { type: 'boolean' } } as const
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch {
    return { positionals: [], values: {} }
  }
}
