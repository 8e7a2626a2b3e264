/**
 * Builds if the sources changed since the last build.
 *
 *   node scripts/prepare.js          after `npm ci`: says nothing; without a compiler it does nothing
 *   node scripts/prepare.js --start  before `npm start`: without a compiler, an existing build is used as it is
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, rm, symlink } from 'node:fs/promises'
import { COMPILER, isBuilt } from './sources.js'

const isStart = process.argv.includes('--start')
const hasCompiler = existsSync(COMPILER)

if (!isStart) await linkCommand()
if (hasCompiler && !await isBuilt()) {
  const { status } = spawnSync(process.execPath, ['scripts/build.js'], { stdio: isStart ? 'inherit' : ['ignore', 'ignore', 'inherit'] })
  process.exitCode = status ?? 1
} else if (isStart && !existsSync('build/bundle/server.js')) {
  console.error('Nothing is built, and the compiler is not installed: run `npm ci`, without --omit=dev, then `npm start`.')
  process.exitCode = 1
}

/** Makes `npx countersign` work in a checkout. npm links the command of the package to dist/, which `npm pack` makes. */
async function linkCommand () {
  const link = 'node_modules/.bin/countersign'
  await mkdir('node_modules/.bin', { recursive: true })
  await rm(link, { force: true })
  await symlink('../../build/src/bin.js', link).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  if (existsSync('build/src/bin.js')) await chmod('build/src/bin.js', 0o755)
}
