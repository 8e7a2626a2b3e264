/** Writes openapi.json, which test/openapi.test.ts compares with the app. Runs in the top folder. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { openapiText } from './openapi-text.js'

const folder = await mkdtemp(join(tmpdir(), 'countersign-openapi-'))
const key = () => `k:${randomBytes(32).toString('base64url')}`
const app = await buildApp(readConfig({ DATA_DIR: folder, LOG_LEVEL: 'silent', JWT_KEYS: key(), SEAL_KEYS: key() }))
await app.ready()
await writeFile('openapi.json', openapiText(app))
await app.close()
await rm(folder, { recursive: true, force: true })
