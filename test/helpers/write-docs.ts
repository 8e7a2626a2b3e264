/**
 * Writes the README's tables anew, from the configuration's schema, the refusals and openapi.json, `.env.example`, and the
 * files that docs/attach.md shows. Runs in the top folder.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fillFiles } from './doc-files.js'
import { docTables, envExample, fillIn, type OpenApi } from './doc-tables.js'
import { fillRequirements } from './requirements.js'

const openApi = JSON.parse(await readFile('openapi.json', 'utf8')) as OpenApi
await fillIn('README.md', docTables(openApi))
await writeFile('.env.example', envExample(await readFile('.env.example', 'utf8')))
await writeFile('docs/attach.md', await fillFiles(await readFile('docs/attach.md', 'utf8')))
await writeFile('docs/requirements.md', await fillRequirements(await readFile('docs/requirements.md', 'utf8')))
