/** Writes `src/tables/schema.ts` from the tables that the migrations make. Runs in the top folder. */
import { writeFile } from 'node:fs/promises'
import { schemaText } from './schema-text.js'

await writeFile('src/tables/schema.ts', await schemaText())
