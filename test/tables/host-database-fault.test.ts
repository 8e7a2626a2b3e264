import {
  Kysely, MssqlDialect, MysqlDialect, PostgresDialect, SqliteDialect,
  type MysqlDialectConfig, type SqliteDialectConfig
} from 'kysely'
import pg from 'pg'
import t from 'tap'
import countersign from '../../plugins/countersign.js'
import { hostDatabaseFault } from '../../src/tables/host-database-fault.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'

await need('postgres')
const { url } = await freshDatabase(t)
const pool = openPool(url)
t.teardown(() => pool.end())
const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })

/** Never connected. */
const foreign = {
  sqlite: new Kysely<unknown>({ dialect: new SqliteDialect({ database: {} } as SqliteDialectConfig) }),
  mysql: new Kysely<unknown>({ dialect: new MysqlDialect({ pool: {} } as unknown as MysqlDialectConfig) }),
  mssql: new Kysely<unknown>({ dialect: new MssqlDialect({ tarn: { Pool: class {}, options: {} }, tedious: {} } as never) })
}

/** [value, name of its database or library in the message] */
const refused: ReadonlyArray<readonly [unknown, RegExp]> = [
  ['mysql://root:secret@db/app', /MySQL/], ['mysql2://root:secret@db/app', /MySQL/], ['mariadb://root:secret@db/app', /MariaDB/],
  ['sqlite:secret.db', /SQLite/], ['file:secret.db', /SQLite/], [':memory:', /SQLite/], ['libsql://secret', /SQLite/],
  ['sqlserver://secret', /SQL Server/], ['mongodb+srv://secret', /MongoDB/], ['redis://secret', /Redis/],
  ['secret', /postgres:\/\//], ['', /postgres:\/\//],
  [foreign.sqlite, /SQLite/], [foreign.mysql, /MySQL/], [foreign.mssql, /SQL Server/],
  [new pg.Client(url), /pg Pool/], [{ secret: true }, /pg Pool/], [null, /pg Pool/], [7, /pg Pool/], [() => {}, /pg Pool/]
]

t.test('any other database is refused by name, without its value', (t) => {
  for (const [value, name] of refused) {
    const fault = hostDatabaseFault(value) ?? ''
    t.match(fault, name)
    t.notMatch(fault, /secret/)
  }
  for (const value of [url, pool, kysely]) t.equal(hostDatabaseFault(value), undefined)
  t.end()
})

t.test('migrate and tablesVersion refuse the same, a transaction among them', async (t) => {
  const wrong = { name: 'TypeError', message: /^countersign: "database" must / }
  for (const [value] of refused) {
    await t.rejects(countersign.migrate(value as never), wrong)
    await t.rejects(countersign.tablesVersion(value as never), wrong)
  }
  await kysely.transaction().execute(async (transaction) => {
    t.match(hostDatabaseFault(transaction), /transaction/)
    await t.rejects(countersign.migrate(transaction), wrong)
  })
  t.ok((await countersign.migrate(kysely)).length > 0)
})
