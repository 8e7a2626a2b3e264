import { addressFault } from '../postgres/address.js'

const MUST = 'be a pg Pool, a Kysely instance of PostgreSQL, or an address that starts with postgres://'

/** Schemes of addresses of other databases. */
const schemes: ReadonlyArray<readonly [name: string, scheme: RegExp]> = [
  ['MySQL', /^(?:jdbc:)?mysqlx?2?:/i],
  ['MariaDB', /^(?:jdbc:)?mariadb:/i],
  ['SQLite', /^(?:sqlite3?|libsql|file):|^:memory:/i],
  ['SQL Server', /^(?:jdbc:)?(?:sqlserver|mssql):/i],
  ['MongoDB', /^mongodb(?:\+srv)?:/i],
  ['Redis', /^rediss?:/i]
]

const OF_ITS_OWN = 'Countersign needs a PostgreSQL for its own tables, which need not be the one of your users: give its address'

/** Clients of other libraries, by a member of theirs, and the value to give in place of each. */
const clients: ReadonlyArray<readonly [library: string, member: string, give: string]> = [
  ['Drizzle', '$client', 'give its pg Pool, "db.$client"'],
  ['Prisma', '$queryRaw', 'give the pg Pool of its adapter, or the address'],
  ['TypeORM', 'createQueryRunner', 'give its pg Pool, "dataSource.driver.master"'],
  ['Sequelize', 'connectionManager', 'give the address'],
  ['MikroORM', 'entityManager', 'give the address'],
  ['Knex', 'migrate', 'give a pg Pool beside it, or the address'],
  ['postgres.js', 'unsafe', 'give a Kysely instance over it (kysely-postgres-js), or the address'],
  ['a single connection of pg', 'connectionParameters', 'give a pg Pool']
]

/**
 * Returns the fault of a value that is given as a host's database, completing "database must …"; undefined if it can be opened. The
 * message never contains the value.
 */
export function hostDatabaseFault (database: unknown): string | undefined {
  if (typeof database === 'string') return addressFaultOf(database)
  if ((typeof database !== 'object' && typeof database !== 'function') || database === null) return MUST
  if ('getExecutor' in database) return kyselyFault(database as { isTransaction?: unknown, getExecutor: () => unknown })
  if (typeof database === 'object' && 'totalCount' in database && 'connect' in database) return undefined
  const client = clients.find(([, member]) => member in database)
  return client === undefined ? MUST : `${MUST}; it is ${client[0]}: ${client[2]}`
}

function addressFaultOf (address: string): string | undefined {
  const other = schemes.find(([, scheme]) => scheme.test(address))
  return other === undefined ? addressFault(address) : `${MUST}; it is one of ${other[0]}: ${OF_ITS_OWN}`
}

interface Adapter { supportsTransactionalDdl?: boolean, supportsReturning?: boolean, supportsOutput?: boolean }

/** A transaction would be over before the next request, and would take our statements back with its own. */
function kyselyFault (kysely: { isTransaction?: unknown, getExecutor: () => unknown }): string | undefined {
  if (kysely.isTransaction === true) return `${MUST}; it is a transaction: give the Kysely instance that began it`
  const { adapter = {} } = kysely.getExecutor() as { adapter?: Adapter }
  const { supportsTransactionalDdl, supportsReturning, supportsOutput } = adapter
  // By what the adapter can do: a bundler renames classes.
  const name = supportsOutput === true
    ? 'SQL Server'
    : supportsTransactionalDdl === true ? undefined : supportsReturning === true ? 'SQLite' : 'MySQL'
  return name === undefined ? undefined : `${MUST}; it is a Kysely instance of ${name}: ${OF_ITS_OWN}`
}
