/**
 * Part of `npm run build`: packages that come as hundreds of ES modules, in a few files under build/node_modules, where
 * what is compiled beside it finds them first. Node finds, reads and links each module by itself: so the service starts
 * in two thirds of the time and in twenty megabytes less, and each process of the tests half a second sooner.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

/** By package, what of it is imported. */
const packages = {
  kysely: ['.'],
  '@sinclair/typebox': ['.', './value']
}

for (const [name, entries] of Object.entries(packages)) {
  const folder = join('build', 'node_modules', name)
  const fileOf = (entry) => entry === '.' ? 'index' : entry.slice(2)
  await build({
    entryPoints: Object.fromEntries(entries.map((entry) => [fileOf(entry), join(name, entry)])),
    outdir: folder,
    bundle: true,
    platform: 'node',
    format: 'esm',
    splitting: true,
    logLevel: 'warning'
  })
  const exports = Object.fromEntries(entries.map((entry) => [entry, `./${fileOf(entry)}.js`]))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name, type: 'module', exports }))
}
