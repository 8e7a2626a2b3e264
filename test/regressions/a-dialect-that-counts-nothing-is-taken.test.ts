import Fastify from 'fastify'
import { Kysely, PostgresDialect, type CompiledQuery, type DatabaseConnection, type Dialect } from 'kysely'
import t from 'tap'
import countersign from '../../plugins/countersign.js'
import { emptyDatabase, openPool } from '../helpers/database.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'

// kysely-pglite 0.6.1 gives rows alone: each update looked as if it had changed none, and its one connection is lent to all at once.

const server = await need('postgres')

/** Dialect that gives the rows of a statement and no count, as kysely-pglite does. */
function uncounted (dialect: Dialect): Dialect {
  const withoutCount = (connection: DatabaseConnection): DatabaseConnection => ({
    executeQuery: async <R>(query: CompiledQuery) => ({ rows: (await connection.executeQuery<R>(query)).rows }),
    streamQuery: (...given) => connection.streamQuery(...given)
  })
  return {
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createDriver () {
      const driver = dialect.createDriver()
      const lent = new WeakMap<DatabaseConnection, DatabaseConnection>()
      const own = (connection: DatabaseConnection) => lent.get(connection)!
      return {
        init: () => driver.init(),
        destroy: () => driver.destroy(),
        async acquireConnection () {
          const connection = await driver.acquireConnection()
          const shown = withoutCount(connection)
          lent.set(shown, connection)
          return shown
        },
        releaseConnection: (connection) => driver.releaseConnection(own(connection)),
        beginTransaction: (connection, settings) => driver.beginTransaction(own(connection), settings),
        commitTransaction: (connection) => driver.commitTransaction(own(connection)),
        rollbackTransaction: (connection) => driver.rollbackTransaction(own(connection))
      }
    }
  }
}

t.test('an instance of Kysely that does not count changed rows is refused at start', async (t) => {
  const pool = openPool(await emptyDatabase(t, server))
  t.teardown(() => pool.end())
  const dialect = new PostgresDialect({ pool })
  await countersign.migrate(pool)
  const started = async (database: Kysely<unknown>) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(countersign, { ...fromHeaders, issuer: 'Host', sealKeys: freshKeys()['SEAL_KEYS']!, database })
    await app.ready()
  }
  await t.resolves(started(new Kysely<unknown>({ dialect })))
  await t.rejects(started(new Kysely<unknown>({ dialect: uncounted(dialect) })), { name: 'TypeError', message: /numAffectedRows/ })
})
