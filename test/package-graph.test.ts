/** An installation of the package needs exactly the packages that its entries import. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { importGraph } from './helpers/import-graph.js'

interface Manifest {
  exports: Record<string, { types: string, default: string } | string>
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, { optional?: boolean }>
  devDependencies: Record<string, string>
}

const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Manifest
const dependencies = Object.keys(manifest.dependencies)
const optional = Object.keys(manifest.peerDependenciesMeta)
const built = (entry: string, kind: 'types' | 'default') =>
  (manifest.exports[entry] as { types: string, default: string })[kind].replace('./dist/', 'build/')

t.test('attaching imports the dependencies, at once or later, all of them, and at once nothing else', async (t) => {
  const { packages, later, files } = await importGraph(built('.', 'default'))
  t.ok(files.size > 20)
  t.strictSame([...packages].filter((name) => !dependencies.includes(name)), [])
  t.strictSame(dependencies.filter((name) => !packages.has(name) && !later.has(name)), [])
})

t.test('the types of what is attached need no more than Fastify besides', async (t) => {
  for (const entry of ['.', './core']) {
    const { packages } = await importGraph(built(entry, 'types'))
    t.strictSame([...packages].filter((name) => name !== 'fastify' && !dependencies.includes(name)), [], entry)
  }
})

t.test('the domain imports nothing but otplib', async (t) => {
  const { packages, later, files } = await importGraph(built('./core', 'default'))
  t.strictSame([...packages, ...later].filter((name) => !name.startsWith('@otplib/')), [])
  t.ok([...files].every((file) => file.startsWith('build/src/core/')))
})

t.test('what is imported later, for tests or by the service, is an optional peer', async (t) => {
  const attached = await importGraph(built('.', 'default'))
  const testing = await importGraph(built('./testing', 'default'))
  t.strictSame([...testing.packages].filter((name) => !dependencies.includes(name)), [])
  t.ok(testing.later.has('@electric-sql/pglite'))
  const known = [...dependencies, ...optional, 'fastify']
  t.strictSame([...attached.later, ...testing.later].filter((name) => !known.includes(name)), [])
})

t.test('no optional peer is asked for in vain, and each has the version that the repository tests with', async (t) => {
  const service = await importGraph('build/src/commands/program.js')
  const commands = (await readdir('build/src/commands')).filter((name) => name.endsWith('.js')).map(
    (name) => join('build/src/commands', name)
  )
  const all = await Promise.all([service, ...commands.map((command) => importGraph(command))])
  const used = new Set(all.flatMap(({ packages, later }) => [...packages, ...later]))
  t.strictSame(optional.filter((name) => !used.has(name)), [])
  t.strictSame([...used].filter((name) => ![...dependencies, ...optional, 'fastify'].includes(name)), [])
  t.strictSame(optional.filter((name) => manifest.devDependencies[name] === undefined), [])
  t.strictSame(Object.keys(manifest.peerDependencies).toSorted(), [...optional, 'fastify'].toSorted())
})

t.test('a CommonJS host can require it: nothing in the graph waits at its top', async (t) => {
  for (const entry of ['.', './core', './testing']) {
    for (const file of (await importGraph(built(entry, 'default'))).files) {
      t.notMatch(await readFile(file, 'utf8'), /^(?:const .* = )?await /m, file)
    }
  }
})
