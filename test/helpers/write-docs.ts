/** Writes the README's tables anew, from the configuration's schema, the refusals and openapi.json. Runs in the top folder. */
import { readFile, writeFile } from 'node:fs/promises'
import { docTables, fillTables, type OpenApi } from './doc-tables.js'

const openApi = JSON.parse(await readFile('openapi.json', 'utf8')) as OpenApi
await writeFile('README.md', fillTables(await readFile('README.md', 'utf8'), docTables(openApi)))
