import { readFile } from 'node:fs/promises'
import t from 'tap'
import { schemaText } from '../helpers/schema-text.js'

t.test('the types of the tables are those of the migrated database', async (t) => {
  t.equal(await readFile('src/tables/schema.ts', 'utf8'), await schemaText(), 'npm run schema writes them')
})
