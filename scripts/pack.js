/**
 * Before `npm pack` at the top: writes dist/, the part of the compiled code that the package `countersign` holds. It is the code
 * that hosts attach, with its types, the elements for their pages, and the command. The rest is in the package `countersign-service`.
 */
import { spawnSync } from 'node:child_process'
import { copyFile, cp, mkdir, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { build } from 'esbuild'
import { COMPILER, isBuilt } from './sources.js'

const ENTRIES = [
  'plugins/countersign.js', 'src/client/index.js', 'src/client/express.js', 'src/client/hono.js', 'src/client/nest.js',
  'src/client/next.js', 'src/core/index.js', 'src/core/notices/index.js', 'src/testing/index.js', 'src/bin.js'
]

if (!await isBuilt()) run('scripts/build.js')
await rm('dist', { recursive: true, force: true })
for (const file of await filesOf(ENTRIES.map((entry) => join('build', entry)))) {
  const copy = join('dist', relative('build', file))
  await mkdir(dirname(copy), { recursive: true })
  await copyFile(file, copy)
}
await cp('build/elements', 'dist/elements', { recursive: true })
run(COMPILER, '-p', 'tsconfig.types.json')

/** Returns the files of ours that the entries import, at once or later. */
async function filesOf (entryPoints) {
  const packagesAreOutside = {
    name: 'packages',
    setup ({ onResolve }) {
      onResolve({ filter: /^[^.]/ }, ({ path, kind }) => kind === 'entry-point' ? undefined : { path, external: true })
    }
  }
  const { metafile } = await build({
    entryPoints, bundle: true, format: 'esm', platform: 'node', outdir: 'dist', write: false, metafile: true, plugins: [packagesAreOutside]
  })
  return Object.keys(metafile.inputs)
}

function run (...args) {
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', process.stderr, process.stderr] })
  if (status !== 0) throw new Error(`${args[0]} failed`)
}
