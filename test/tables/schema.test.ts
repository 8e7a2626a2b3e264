import { readFile } from 'node:fs/promises'
import t from 'tap'
import { schemaText } from '../helpers/schema-text.js'

t.test('the types of the tables are those of the migrated database', async (t) => {
  t.equal(await readFile('src/tables/schema.ts', 'utf8'), await schemaText(), 'npm run schema writes them')
})

t.test('docs/operations.md counts the tables in a dump', async (t) => {
  const [, tables = ''] = /^export interface DB \{\n([^}]*)\}/m.exec(await readFile('src/tables/schema.ts', 'utf8')) ?? []
  const [, counted] = /(\d+) tables of ours, 2 of the migrations/.exec(await readFile('docs/operations.md', 'utf8')) ?? []
  t.equal(Number(counted), tables.trim().split('\n').length)
})
