/**
 * `npm run build`: compiles everything into build/, bundles the service into build/bundle/ and its pages into build/assets/, and makes
 * the template of the embedded database if it is missing. It notes the state of the sources, so that `npm start` builds only after a
 * change, and after a change of tests alone nothing is bundled again.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { COMPILER, isBuilt, STAMP, stateOfSources } from './sources.js'

const BUNDLES = ['build/node_modules/kysely', 'build/bundle/server.js', 'build/elements/index.js', 'build/assets/assets.json']

const state = await stateOfSources()
const isBundled = await isBuilt() && BUNDLES.every((path) => existsSync(path))
run(COMPILER)
if (!isBundled) {
  run('scripts/bundle-packages.js')
  run('scripts/bundle-service.js')
  run('scripts/bundle-pages.js')
}
await makeTemplate()
await writeFile(STAMP, state)

/** Makes the template once for each release of PGlite: it takes 10 s of CPU. */
async function makeTemplate () {
  const { version } = createRequire(import.meta.url)('../package-lock.json').packages['node_modules/@electric-sql/pglite']
  const made = `build/embedded-postgres-${version}.tar.br.made`
  if (existsSync(made)) return
  await mkdir('build', { recursive: true })
  run('scripts/embedded-template.js', 'build/embedded-postgres.tar.br')
  await writeFile(made, '')
}

function run (script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' })
  if (status === 0) return
  // The next start must not take a broken build for a current one.
  void rm(STAMP, { force: true }).finally(() => { process.exit(1) })
  throw new Error(`${script} failed`)
}
