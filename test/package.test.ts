/** The package as the registry delivers it. */
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import t from 'tap'
import { call } from './helpers/http-client.js'
import { startNode } from './helpers/node-process.js'
import { install, packed, projectWith } from './helpers/package.js'

/** Optional peers that come with Fastify itself. */
const OF_FASTIFY = ['ipaddr.js']
const MOST_BYTES = 450 * 1024
// Packing compiles, and installing downloads.
t.setTimeout(600_000)

const run = promisify(execFile)
const { devDependencies, peerDependenciesMeta } = JSON.parse(await readFile('package.json', 'utf8')) as {
  devDependencies: Record<string, string>, peerDependenciesMeta: Record<string, object>
}
const fastify = `fastify@${devDependencies['fastify']}`
const peers = Object.keys(peerDependenciesMeta).filter((name) => !OF_FASTIFY.includes(name))
const tarball = await packed()
const project = await projectWith(t, [fastify], {
  'esm.js': "import countersign from 'countersign'; import { checkTotp } from 'countersign/core'; " +
      'console.log(typeof countersign, typeof checkTotp)',
  'commonjs.cjs': "const { default: countersign } = require('countersign'); const { checkTotp } = require('countersign/core'); " +
      'console.log(typeof countersign, typeof checkTotp)'
})
const folder = join(project.folder, 'node_modules', 'countersign')

t.test('it is small and holds only what runs', async (t) => {
  const { size } = await stat(tarball)
  t.ok(size < MOST_BYTES, `${size} bytes`)
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
  t.strictSame(
    names.filter((name) => !/^(package\.json|README\.md|LICENSE|dist\/(src|plugins|routes|migrations)\/.*\.(js|d\.ts))$/.test(name)),
    []
  )
  t.ok(names.includes('LICENSE'))
  for (const name of names.filter((name) => name.endsWith('.js'))) {
    t.notMatch(await readFile(join(folder, name), 'utf8'), 'sourceMappingURL', name)
  }
})

t.test('publint has nothing to say', async (t) => {
  const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true })
  t.strictSame(messages.map((message) => formatMessage(message, pkg)), [])
})

// Only ESM: `require` of an ES module works from the oldest supported Node, so a second build would only double the state.
t.test('attw has nothing to say, of an ESM-only package', async (t) => {
  const { stdout } = await run(join('node_modules', '.bin', 'attw'), [tarball, '--profile', 'esm-only', '--format', 'json'])
  const { analysis } = JSON.parse(stdout) as { analysis: { problems: Array<{ resolutionKind?: string }>, entrypoints: object } }
  t.strictSame(analysis.problems.filter(({ resolutionKind }) => resolutionKind === 'bundler' || resolutionKind === 'node16-esm'), [])
  t.strictSame(Object.keys(analysis.entrypoints), ['.', './core', './testing', './package.json'])
})

t.test('nothing that only the service stands on comes with it', async (t) => {
  for (const name of peers) {
    await t.rejects(stat(join(project.folder, 'node_modules', name)), { code: 'ENOENT' }, name)
  }
})

t.test('ES modules import it, CommonJS requires it', async (t) => {
  for (const file of ['esm.js', 'commonjs.cjs']) {
    t.same(await project.run(process.execPath, [file]), { code: 0, stdout: 'function function\n', stderr: '' }, file)
  }
})

t.test('without what the service stands on, the command says what to install; with that, it serves', async (t) => {
  const { code, stdout, stderr } = await project.run('npx', ['--no-install', 'countersign', 'serve'])
  t.match({ code, stdout }, { code: 1, stdout: '' })
  t.match(stderr, /^[^\n]*: npm install [^\n]+\n$/)
  const [, wanted = ''] = /npm install (.*)/.exec(stderr) ?? []
  t.strictSame(wanted.split(' ').toSorted(), peers.map((name) => `${name}@${devDependencies[name]}`).toSorted())

  await install(project, wanted.split(' '))
  const service = startNode(t, [join(folder, 'dist', 'src', 'bin.js'), 'serve'], { PORT: '0' }, project.folder)
  const base = await service.saying(/Server listening at (http:\/\/[^"]+)/, 'the service to listen')
  t.equal((await call(base, 'GET', '/livez')).status, 200)
})
