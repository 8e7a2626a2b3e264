import { PGlite } from '@electric-sql/pglite'
import { PostgresDialect } from 'kysely'
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { migrationScript } from '../../src/postgres/migrator.js'
import { createDb } from '../../src/tables/db.js'
import { statements } from '../../src/tables/statement.js'

/** Types that every driver reads alike, under any settings of the server: text, varchar, uuid, boolean, int4, bytea. */
const PLAIN = [25, 1043, 2950, 16, 23, 17]

/** json, jsonb. */
const JSON_TYPES = [114, 3802]

/** Each module of the layers that have statements. To import it registers them. */
for (const folder of ['attach', 'accounts', 'budgets', 'cleanup', 'events', 'factors', 'imports', 'sessions', 'staff']) {
  const at = new URL(`../../src/${folder}/`, import.meta.url)
  for (const file of await readdir(at, { recursive: true })) if (file.endsWith('.js')) await import(new URL(file, at).href)
}

t.test('each statement fits the tables, and selects values that every driver reads alike', async (t) => {
  const pglite = await PGlite.create()
  t.teardown(() => pglite.close())
  await pglite.exec(await migrationScript(serviceMigrations, 'public'))
  const dialect = new PostgresDialect({ pool: {} as never })
  // A host names the schema of its tables; the service finds them on the search path.
  for (const schema of [undefined, 'other']) {
    if (schema !== undefined) await pglite.exec(`alter schema public rename to ${schema}; set search_path to ''`)
    for (const destinations of [['webhook'], []]) {
      const db = createDb(dialect, { hasAccounts: schema === undefined, destinations, ...(schema === undefined ? {} : { schema }) })
      for (const statement of statements.values()) {
        await t.resolves(pglite.describeQuery(statement.compile(db).sql).then(({ queryParams, resultFields }) => {
          const others = resultFields.filter(({ dataTypeID }) => !PLAIN.includes(dataTypeID)).map(({ name }) => name)
          t.strictSame(others, [], `${statement.name}: columns of other types`)
          // Some drivers make JSON of such a parameter, which is JSON already.
          t.notOk(queryParams.some(({ dataTypeID }) => JSON_TYPES.includes(dataTypeID)), `${statement.name}: parameters of JSON`)
        }), statement.name)
      }
    }
  }
})
