/** Each row of the table "what you have" in docs/hosts.md, with its library. */
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { installRecipe } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const packages = [
  'fastify@5.12.8', 'pg@8.23.1', 'drizzle-orm@0.45.4', '@prisma/adapter-pg@7.10.1', 'typeorm@1.1.1', 'kysely@0.28.19', 'knex@3.3.0',
  'postgres@3.4.9', 'kysely-postgres-js@3.0.0'
]

t.test('tables, a new device, a status and a guarded route on each', async (t) => {
  const installed = await installRecipe(t, 'databases', packages)
  const env = { DATABASE_URL: installed.databaseUrl, SEAL_KEYS: freshKeys()['SEAL_KEYS']! }
  const { code, stdout, stderr } = await installed.run(process.execPath, ['databases.js'], env)
  t.same([code, stderr], [0, ''])
  const names = ['Drizzle', 'Prisma', 'TypeORM', 'Kysely', 'postgres.js', 'Knex', 'address']
  t.same(stdout.trim().split('\n'), names.map((name) => `${name}: 201 200 200`))
})
