/** The package that hosts attach, as the registry delivers it. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import t from 'tap'
import { packed, projectWith, versioned } from './helpers/package.js'
import { isThorough, sized } from './helpers/thorough.js'

const MOST_BYTES = 450 * 1024
// Packing compiles, and installing downloads.
t.setTimeout(600_000)

const run = promisify(execFile)
const { dependencies, version } = JSON.parse(await readFile('package.json', 'utf8')) as {
  dependencies: Record<string, string>, version: string
}
const service = JSON.parse(await readFile('service/package.json', 'utf8')) as Record<string, Record<string, string>>
const tarball = await packed()
const project = await projectWith(t, [await versioned('fastify')], {
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
  const besides = ['package.json', 'moving.schema.json', 'README.md']
  t.strictSame(
    names.filter((name) => ![...besides, 'LICENSE', 'dist/elements/index.js.LEGAL.txt'].includes(name) &&
      !/^dist\/(src|plugins|routes|migrations|pages|elements)\/.*\.(js|d\.ts)$/.test(name)),
    []
  )
  t.ok(names.includes('LICENSE'))
  t.strictSame(names.filter((name) => /src\/(accounts|staff|config\/config|app|server)/.test(name) && name.endsWith('.js')), [])
  for (const name of names.filter((name) => name.endsWith('.js'))) {
    t.notMatch(await readFile(join(folder, name), 'utf8'), 'sourceMappingURL', name)
  }
})

t.test('the elements are one file for browsers, of at most 60 KB compressed, and their types need no library', async (t) => {
  const elements = await readFile(join(folder, 'dist', 'elements', 'index.js'))
  const bytes = gzipSync(elements, { level: 9 }).length
  t.ok(bytes <= 60_000, `${bytes} bytes`)
  t.notMatch(elements.toString(), /(?:^|[;\n])import[ "'{*]|\bimport\(|\brequire\(["']/, 'it imports nothing')
  t.notMatch(await readFile(join(folder, 'dist', 'pages', 'elements', 'types.d.ts'), 'utf8'), /from 'lit/)
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
  t.strictSame(Object.keys(analysis.entrypoints), [
    '.', './client', './client/express', './client/hono', './client/nest', './client/next',
    './core', './notices', './testing', './elements', './moving.schema.json',
    './package.json'
  ])
})

t.test('nothing that only the service needs comes with it', async (t) => {
  for (const name of Object.keys({ ...service['dependencies'], ...service['devDependencies'] })) {
    if (name === 'countersign' || name in dependencies || name === 'fastify' || name === 'ipaddr.js') continue
    await t.rejects(stat(join(project.folder, 'node_modules', name)), { code: 'ENOENT' }, name)
  }
})

t.test('ES modules import it, CommonJS requires it', async (t) => {
  for (const file of ['esm.js', 'commonjs.cjs']) {
    t.same(await project.run(process.execPath, [file]), { code: 0, stdout: 'function function\n', stderr: '' }, file)
  }
})

t.test('TypeScript finds its types in ES modules, and in CommonJS as docs/attach.md says', async (t) => {
  const importing = "import countersign from 'countersign'; import { checkTotp } from 'countersign/core'; void [countersign, checkTotp]"
  const loading = "import type { CountersignOptions } from 'countersign' with { 'resolution-mode': 'import' }; " +
    "export const load = async (options: CountersignOptions) => ({ options, plugin: (await import('countersign')).default })"
  const files = { 'types/esm.mts': importing, 'types/required.cts': importing, 'types/loaded.cts': loading }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(project.folder, 'types'), { recursive: true })
    await writeFile(join(project.folder, name), text)
  }
  const compile = async (module: string, file: string) => (await project.run(process.execPath, [
    resolve('node_modules/typescript/lib/tsc.js'), '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', module,
    '--typeRoots', resolve('node_modules/@types'), '--types', 'node', file
  ])).code
  for (const module of sized(['nodenext'], ['node16', 'nodenext'])) {
    t.equal(await compile(module, 'types/esm.mts'), 0, module)
    if (isThorough) t.equal(await compile(module, 'types/loaded.cts'), 0, module)
  }
  t.equal(await compile('nodenext', 'types/required.cts'), 0)
  if (isThorough) t.not(await compile('node16', 'types/required.cts'), 0, 'the documented limit is there')
})

t.test('without the service, its commands say what to install; the others work', async (t) => {
  const countersign = async (...args: string[]) => await project.run('npx', ['--no-install', 'countersign', ...args])
  const { code, stdout, stderr } = await countersign('serve')
  t.match({ code, stdout }, { code: 1, stdout: '' })
  t.match(stderr, new RegExp(`^[^\\n]*: npm install countersign-service@${version}\\n$`))
  t.match(await countersign('user', 'list', '--json'), { code: 1, stdout: '', stderr: /^\{"error":\{"command":"list"/ })
  t.match(await countersign('--version'), { code: 0, stdout: `${version}\n` })
  t.match(await countersign('--help'), { code: 0, stdout: /^ +serve .*^ +user create /ms })
  t.match(await countersign('keys', 'new', 'seal'), { code: 0, stdout: /^[\w-]+:[\w-]+\n$/, stderr: '' })
  t.match(await countersign('tables', 'sql'), { code: 1, stderr: /^[^\n]*: npm install pg\n$/ })
})
