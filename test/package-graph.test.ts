/** An installation of a package needs exactly the packages that its entries import. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { importGraph } from './helpers/import-graph.js'

interface Manifest {
  version: string
  exports: Record<string, { types: string, default: string } | string>
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, { optional?: boolean }>
  devDependencies: Record<string, string>
}

const [manifest, service] = await Promise.all(['package.json', 'service/package.json'].map(
  async (path) => JSON.parse(await readFile(path, 'utf8')) as Manifest
)) as [Manifest, Manifest]
const dependencies = Object.keys(manifest.dependencies)
const optional = Object.keys(manifest.peerDependenciesMeta)
const built = (entry: string, kind: 'types' | 'default') =>
  (manifest.exports[entry] as { types: string, default: string })[kind].replace('./dist/', 'build/')
/** The command is part of the package, but a host does not import it. */
const OF_THE_COMMAND = ['commander']
/** Loaded when a command of the service asks for a secret or shows its progress. */
const OF_THE_SERVICE = ['@inquirer/password', 'cli-progress']

t.test('attaching imports the dependencies, at once or later, all of them, and at once nothing else', async (t) => {
  const { packages, later, files } = await importGraph(built('.', 'default'))
  t.ok(files.size > 20)
  t.strictSame([...packages].filter((name) => !dependencies.includes(name)), [])
  t.strictSame(dependencies.filter((name) => !packages.has(name) && !later.has(name)), OF_THE_COMMAND)
})

t.test('the command imports dependencies at once, and later nothing that only the service has', async (t) => {
  const { packages, later } = await importGraph('build/src/bin.js')
  t.strictSame([...packages].filter((name) => !dependencies.includes(name)), [])
  t.strictSame([...later].filter((name) => ![...dependencies, ...optional, ...OF_THE_SERVICE].includes(name)), [])
})

t.test('the types of the plugin need no more than Fastify besides', async (t) => {
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

t.test('each package that is imported later, or for tests, is an optional peer', async (t) => {
  const attached = await importGraph(built('.', 'default'))
  const testing = await importGraph(built('./testing', 'default'))
  t.strictSame([...testing.packages].filter((name) => !dependencies.includes(name)), [])
  t.ok(testing.later.has('@electric-sql/pglite'))
  t.strictSame([...attached.later, ...testing.later].filter((name) => ![...dependencies, ...optional].includes(name)), [])
  t.strictSame(Object.keys(manifest.peerDependencies), optional)
})

t.test('the service has the packages that it imports: in its bundle, or with it', async (t) => {
  const bundled = JSON.parse(await readFile('build/bundled.json', 'utf8')) as string[]
  const inBundle = new Set(bundled.map((folder) => folder.replace(/^.*node_modules\//, '')))
  const [server, commands] = await Promise.all(['build/src/server.js', 'build/src/commands/service.js'].map((entry) => importGraph(entry)))
  const used = new Set([server!, commands!].flatMap(({ packages, later }) => [...packages, ...later]))
  const outside = [...used].filter((name) => !inBundle.has(name)).toSorted()
  t.strictSame(outside, Object.keys(service.dependencies).filter((name) => name !== 'countersign'))
  const declared = [...dependencies, ...Object.keys(service.devDependencies), ...Object.keys(service.dependencies), ...optional]
  t.strictSame([...used].filter((name) => !declared.includes(name)), [])
})

t.test('both packages have one version, and the same versions of what both need', async (t) => {
  t.equal(service.version, manifest.version)
  t.equal(service.dependencies['countersign'], manifest.version)
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    if (name in service.dependencies) t.equal(service.dependencies[name], version, name)
  }
})

t.test('a CommonJS host can require it: nothing in the graph waits at its top', async (t) => {
  for (const entry of ['.', './core', './testing']) {
    for (const file of (await importGraph(built(entry, 'default'))).files) {
      t.notMatch(await readFile(file, 'utf8'), /^(?:const .* = )?await /m, file)
    }
  }
})
