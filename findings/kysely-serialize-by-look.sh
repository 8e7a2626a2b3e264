#!/usr/bin/env bash
# Fact: the SerializePlugin of kysely-plugin-serialize decides by the look of each value, not by its column. A text "true" comes back as a
#   boolean, "[7]" as an array and "2026-01-31 12:00:00" as a Date. On PostgreSQL it is worse: a value that the driver has already read, a
#   boolean, a timestamp, an array or an object of jsonb, comes back as undefined, and a boolean is sent as the text "true".
# Version: kysely-plugin-serialize 0.8.2, kysely 0.28.19, PostgreSQL as PGlite 0.5.17.
# One would have guessed: what a text column holds comes back as text, and what the plugin cannot deserialize comes back as it is.
# Why it matters: a user named "true", a device named "[7]" or a note that is a time has another type than the schema's, for that row alone.
#   On PostgreSQL `if (row.is_active)` is false for everyone, without an error, and the TypeScript types show neither.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  kysely@0.28.19 kysely-plugin-serialize@0.8.2 @electric-sql/pglite@0.5.17
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import { DummyDriver, Kysely, PostgresAdapter, PostgresQueryCompiler } from 'kysely'
import { SerializePlugin } from 'kysely-plugin-serialize'

const pglite = new PGlite()
await pglite.exec('create table person (name text, is_active boolean, made_at timestamptz, tags text[], profile jsonb, logins integer)')
class Driver extends DummyDriver {
  async acquireConnection () {
    return { executeQuery: async ({ sql, parameters }) => ({ rows: (await pglite.query(sql, [...parameters])).rows }) }
  }
}
const open = plugins => new Kysely({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new Driver(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: () => { throw new Error('not needed') }
  },
  plugins
})
const [plain, serializing] = [open([]), open([new SerializePlugin()])]
const type = value => value instanceof Date ? 'Date' : Array.isArray(value) ? 'array' : typeof value

const texts = {}
for (const name of ['ann', '42', 'true', '[7]', '{"a":1}', '2026-01-31 12:00:00']) {
  await plain.deleteFrom('person').execute()
  await serializing.insertInto('person').values({ name }).execute()
  const [without, as] = await Promise.all([plain, serializing].map(db => db.selectFrom('person').select('name').executeTakeFirst()))
  texts[name] = [type(without.name), type(as.name)].join(', ')
}
console.log('column text: type without the plugin, and with it')
console.log(texts)
assert.deepEqual(texts, {
  42: 'string, string',
  ann: 'string, string',
  true: 'string, boolean',
  '[7]': 'string, array',
  '{"a":1}': 'string, object',
  '2026-01-31 12:00:00': 'string, Date'
})

await plain.deleteFrom('person').execute()
const values = { name: 'ann', is_active: true, made_at: new Date(0), tags: ['a'], profile: { b: 1 }, logins: 3 }
await plain.insertInto('person').values(values).execute()
const columns = {}
const [without, as] = await Promise.all([plain, serializing].map(db => db.selectFrom('person').selectAll().executeTakeFirst()))
for (const column of Object.keys(without)) columns[column] = [type(without[column]), type(as[column])].join(', ')
console.log('other columns of PostgreSQL:')
console.log(columns)
assert.deepEqual(columns, {
  name: 'string, string',
  is_active: 'boolean, undefined',
  made_at: 'Date, undefined',
  tags: 'array, undefined',
  profile: 'object, undefined',
  logins: 'number, number'
})
const { parameters } = serializing.insertInto('person').values({ is_active: true }).compile()
console.log('a boolean is sent as', parameters)
assert.deepEqual(parameters, ['true'])
await pglite.close()
JS
node probe.mjs
