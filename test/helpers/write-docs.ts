/** Writes the README's tables anew, from the configuration's schema, the refusals and openapi.json. Runs in the top folder. */
import { readFile } from 'node:fs/promises'
import { docTables, fillIn, type OpenApi } from './doc-tables.js'

const openApi = JSON.parse(await readFile('openapi.json', 'utf8')) as OpenApi
await fillIn('README.md', docTables(openApi))
