/** Writes openapi.json, which test/openapi.test.ts compares with the app. Runs in the top folder. */
import { writeFile } from 'node:fs/promises'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { clientSettings, mailSettings } from './app.js'
import { openapiText } from './openapi-text.js'
import { freshDataDir, freshKeys } from './settings.js'
import { createOwner } from './teardown.js'

const owner = createOwner()
const settings = { DATA_DIR: await freshDataDir(owner), LOG_LEVEL: 'silent', ...mailSettings, ...clientSettings, ...freshKeys() }
const app = await buildApp(readConfig(settings))
owner.teardown(() => app.close())
await app.ready()
await writeFile('openapi.json', openapiText(app))
await owner.end()
