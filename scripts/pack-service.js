/**
 * Before `npm pack -w countersign-service`: writes into service/ what its tarball holds: the bundle, the template of the embedded
 * database, and the licences of the packages in the bundle.
 */
import { spawnSync } from 'node:child_process'
import { copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isBuilt } from './sources.js'

process.chdir(resolve(import.meta.dirname, '..'))
const PACKAGE = 'service'
const DIST = join(PACKAGE, 'dist')

if (!await isBuilt()) {
  const { status } = spawnSync(process.execPath, ['scripts/build.js'], { stdio: ['ignore', process.stderr, process.stderr] })
  if (status !== 0) throw new Error('scripts/build.js failed')
}
await rm(DIST, { recursive: true, force: true })
await mkdir(DIST)
for (const name of ['bundle', 'static', 'assets', 'embedded-postgres.tar.br']) {
  await cp(join('build', name), join(DIST, name), { recursive: true })
}
await copyFile('LICENSE', join(PACKAGE, 'LICENSE'))
const packages = [...await listed('bundled'), ...await listed('bundled-pages')]
await writeFile(join(PACKAGE, 'THIRD-PARTY.md'), await thirdParty(packages))

async function listed (name) {
  return JSON.parse(await readFile(`build/${name}.json`, 'utf8'))
}

/** Returns names, versions and licences of packages. */
async function thirdParty (folders) {
  const texts = await Promise.all(folders.map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const file = (await readdir(folder)).find((name) => /^licen[cs]e(-mit)?(\.|$)/i.test(name))
    const text = file === undefined ? '' : `\n\`\`\`text\n${(await readFile(join(folder, file), 'utf8')).trim()}\n\`\`\`\n`
    return `## ${name} ${version}\n\nLicence: ${license}\n${text}`
  }))
  return `# Packages in dist/bundle and dist/assets\n\n${texts.join('\n')}`
}
