/**
 * Writes the generated parts of the documents: the tables of docs/api.md, docs/settings.md and docs/errors.md, `.env.example`,
 * the files of docs/attach.md and docs/hosts.md, moving.schema.json, and the tests in docs/requirements.md. Runs in the top folder.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { movingSchema } from '../../src/imports/jsonl/record.js'
import { fillFiles } from './doc-files.js'
import { docTables, envExample, fillIn, type OpenApi } from './doc-tables.js'
import { fillRequirements } from './requirements.js'

const openApi = JSON.parse(await readFile('openapi.json', 'utf8')) as OpenApi
for (const [page, tables] of Object.entries(docTables(openApi))) await fillIn(page, tables)
await writeFile('.env.example', envExample(await readFile('.env.example', 'utf8')))
for (const page of ['docs/attach.md', 'docs/hosts.md']) await writeFile(page, await fillFiles(await readFile(page, 'utf8')))
await writeFile('docs/requirements.md', await fillRequirements(await readFile('docs/requirements.md', 'utf8')))
await writeFile('moving.schema.json', `${JSON.stringify(movingSchema, null, 2)}\n`)
