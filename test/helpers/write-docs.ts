/** Writes the README's tables anew, from the configuration's schema, the refusals and openapi.json, and the files that docs/attach.md shows. Runs in the top folder. */
import { readFile, writeFile } from 'node:fs/promises'
import { fillFiles } from './doc-files.js'
import { docTables, fillTables, type OpenApi } from './doc-tables.js'

const openApi = JSON.parse(await readFile('openapi.json', 'utf8')) as OpenApi
await writeFile('README.md', fillTables(await readFile('README.md', 'utf8'), docTables(openApi)))
await writeFile('docs/attach.md', await fillFiles(await readFile('docs/attach.md', 'utf8')))
