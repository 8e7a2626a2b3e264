import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import type { Command } from 'commander'
import t from 'tap'
import { program } from '../src/commands/program.js'
import { readConfig, settings } from '../src/config/config.js'
import { command } from './helpers/command.js'
import { blocksAfter } from './helpers/doc-blocks.js'
import { fillFiles } from './helpers/doc-files.js'
import { docTables, fillTables, type OpenApi } from './helpers/doc-tables.js'
import { embeddedDataDir } from './helpers/embedded-data.js'
import { findProgram } from './helpers/programs.js'
import { clientSettings, mailSettings } from './helpers/app.js'
import { startServer } from './helpers/server-process.js'

/** Folders of the documents, from the top folder, in which the tests run. */
const FOLDERS = ['.', 'docs', 'model', 'plugins', 'routes', 'test']
const PICTURES = 'docs/pictures'
const MOST_PICTURE_BYTES = 60_000
const PROMISES = 'test/promises'
/** Limit for two screens. */
const MOST_CHARACTERS = 12_000
const run = promisify(execFile)

const documents = new Map<string, string>()
for (const folder of FOLDERS.filter((folder) => existsSync(folder))) {
  for (const name of await readdir(folder)) {
    if (name.endsWith('.md')) documents.set(join(folder, name), await readFile(join(folder, name), 'utf8'))
  }
}
const readme = documents.get('README.md') ?? ''

/** Removes the code of a document, because its brackets are not links. */
const prose = (text: string) => text.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
const linksOf = (text: string) => [...prose(text).matchAll(/\]\(([^)\s]+)\)|<[^>]* src(?:set)?="([^"]*)"/g)]
  .map(([, link, source = '']) => link ?? source)
const imagesOf = (text: string) => prose(text).match(/<img [^>]*>/g) ?? []
/** Returns the anchors that a forge creates for the headings. */
const anchorsOf = (text: string) => [...prose(text.replaceAll('`', '')).matchAll(/^#+ (.*)$/gm)]
  .map(([, heading = '']) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))

t.test('the README is short enough to read', async (t) => {
  t.ok(readme.length <= MOST_CHARACTERS, `${readme.length} of ${MOST_CHARACTERS} characters`)
})

t.test('links lead somewhere', async (t) => {
  t.ok(documents.size >= 7)
  for (const [path, text] of documents) {
    for (const link of linksOf(text)) {
      if (/^https?:/.test(link)) {
        t.ok(URL.canParse(link), `${path}: ${link}`)
        continue
      }
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : normalize(join(dirname(path), file))
      t.ok(existsSync(target), `${path}: ${link}`)
      if (anchor !== undefined) t.ok(anchorsOf(documents.get(target) ?? '').includes(anchor), `${path}: ${link}`)
    }
  }
})

t.test('each picture is small, is shown in both themes, and has a text in its place', async (t) => {
  const names = await readdir(PICTURES)
  t.not(names.length, 0)
  for (const name of names) {
    const { size } = await stat(join(PICTURES, name))
    t.ok(size <= MOST_PICTURE_BYTES, `${name}: ${size} bytes`)
    t.ok(linksOf(documents.get('docs/pages.md') ?? '').includes(`pictures/${name}`), name)
  }
  for (const page of ['README.md', 'docs/pages.md']) {
    const images = imagesOf(documents.get(page) ?? '')
    t.equal(images.length, names.length / 2, page)
    for (const image of images) t.match(image, / alt="[^"]{5,}"/, page)
  }
})

t.test('every guarantee is a file of tests, and every such file a guarantee', async (t) => {
  const sentences = (documents.get('docs/guarantees.md') ?? '').split(/^- /m).slice(1)
  const linked = sentences.map((sentence) => {
    const links = linksOf(sentence)
    t.equal(links.length, 1, sentence)
    return normalize(join('docs', links[0] ?? ''))
  })
  const files = (await readdir(PROMISES)).filter((name) => name.endsWith('.test.ts')).map((name) => `${PROMISES}/${name}`)
  t.not(files.length, 0)
  t.strictSame(linked.toSorted(), files.toSorted())
})

t.test('each file of plugins and routes has its line', async (t) => {
  for (const folder of ['plugins', 'routes']) {
    const lines = [...(documents.get(`${folder}/README.md`) ?? '').matchAll(/^\| \[[^\]]+\]\(([^)]+)\) \|/gm)].map(([, link]) => link)
    const entries = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
    t.strictSame(lines.toSorted(), entries.toSorted(), folder)
  }
})

t.test('test/README.md names each folder of src, and only tests that are there', async (t) => {
  const page = documents.get('test/README.md') ?? ''
  const folders = (await readdir('src', { withFileTypes: true })).filter((entry) => entry.isDirectory())
  for (const { name } of folders) t.ok(page.includes(`\`src/${name}`), name)
  const table = page.split('\n').filter((line) => line.startsWith('| ') && line.includes('`')).map((line) => line.split(' | ')[1] ?? '')
  for (const [, named = ''] of table.join('\n').matchAll(/`([a-z0-9/*.-]+)`/g)) {
    const paths = [`${PROMISES}/${named}.test.ts`, join('test', named), named]
    t.ok(named.includes('*') || paths.some((path) => existsSync(path)), named)
  }
})

t.test('commands are there', async (t) => {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  for (const [path, text] of documents) {
    for (const [, named] of text.matchAll(/\bnpm (?:run )?([a-z:]+)/g)) {
      if (!['ci', 'install', 'pack', 'run'].includes(named!)) t.ok(named! in scripts, `${path}: npm run ${named}`)
    }
  }
})

t.test('the hosts shown are those that the tests run: else npm run docs', async (t) => {
  const page = documents.get('docs/attach.md') ?? ''
  const hosts = (await readdir('test/hosts', { withFileTypes: true })).filter((entry) => entry.isDirectory())
  t.not(hosts.length, 0)
  for (const { name } of hosts) t.match(page, new RegExp(`^<!-- test/hosts/${name}/`, 'm'), name)
  t.equal(page, await fillFiles(page))
})

t.test('the recipes shown are those that `npm run hosts` runs: else npm run docs', async (t) => {
  const page = documents.get('docs/hosts.md') ?? ''
  const entries = (await readdir('test/recipes', { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && entry.parentPath !== 'test/recipes')
  const sources = entries.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !/tsconfig\.json$|\.spec\.ts$/.test(path))
  t.ok(sources.length >= 14)
  for (const path of sources) t.ok(page.includes(`<!-- ${path} -->`), path)
  t.equal(page, await fillFiles(page))

  const programs = (await readdir('test/recipes')).filter((name) => name.endsWith('.recipe.ts'))
  const texts = (await Promise.all(programs.map((name) => readFile(join('test/recipes', name), 'utf8')))).join('\n')
  const folders = new Set(sources.map((path) => path.split('/')[2]!))
  for (const folder of folders) t.match(texts, new RegExp(`'${folder}'|^ {2}${folder}: \\{`, 'm'), `${folder} is run`)
  // Versions in the text are those that run.
  for (const [version] of page.replace(/^```[^]*?^```$/gm, '').matchAll(/\b\d+\.\d+\.\d+\b/g)) t.match(texts, version, version)
})

t.test('each package that is or is not installed with this one is explained', async (t) => {
  const { dependencies, peerDependencies } = JSON.parse(await readFile('package.json', 'utf8')) as Record<string, Record<string, string>>
  const section = /^## What is installed$([^]*)/m.exec(documents.get('docs/attach.md') ?? '')?.[1] ?? ''
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) t.ok(section.includes(`\`${name}\``), name)
})

t.test('commands of the command line are there, with the options that are shown', async (t) => {
  const shown = new Set(
    [...documents.values()].flatMap(
      (text) => [...text.matchAll(/npx countersign ([a-z].*?)(?: *[#`]|$)/gm)].map(([, line = '']) => line.trim())
    )
  )
  t.ok(shown.size >= 12)
  for (const line of shown) {
    const [, words = ''] = /^([a-z]+(?: [a-z][a-z-]*)?)/.exec(line) ?? []
    const named = words.split(' ').reduce<Command | undefined>(
      (parent, word) => parent?.commands.find((one) => one.name() === word), program
    )
    // "tables", which needs only a host's settings, is handled before the rest of the program is loaded.
    const help = named?.helpInformation() ?? (await command([...words.split(' '), '--help'], {})).stdout
    const [head = ''] = help.split('\n')
    t.ok(head.startsWith(`Usage: countersign ${words}`), line)
    for (const [option] of line.matchAll(/ --[a-z-]+/g)) t.match(help, new RegExp(`^ +${option.trim()}\\b`, 'm'), `${line}: ${option}`)
  }
})

t.test('the registration shown is the one that runs', async (t) => {
  const source = await readFile('src/app.ts', 'utf8')
  const excerpts = blocksAfter(readme, 'from src/app.ts')
  t.not(excerpts.length, 0)
  for (const excerpt of excerpts) t.ok(source.includes(excerpt), excerpt)
})

t.test('the settings shown for real stores are a configuration', async (t) => {
  const [script = ''] = blocksAfter(readme, 'stores')
  t.match(script, /\nnpm start$/)
  const { stdout } = await run('sh', ['-euc', script.replace(/npm start$/, 'env')])
  const env = Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/).slice(0, 2)))
  const { databaseUrl, redisUrl, jwtKeys } = readConfig(env)
  t.match({ databaseUrl, redisUrl }, { databaseUrl: String, redisUrl: String })
  t.equal(jwtKeys?.length, 1)
})

t.test('operations.md names each setting that may be in a file', async (t) => {
  const text = documents.get('docs/operations.md') ?? ''
  for (const [name, schema] of Object.entries<TSchema>(settings.properties)) {
    if (schema['mayBeInFile'] === true) t.match(text, `${name}_FILE`)
  }
})

t.test('the service does what the documents say', async (t) => {
  const address = await startServer(t, { ...mailSettings, ...clientSettings, DATA_DIR: await embeddedDataDir(t) }).ready()

  t.test('the tables are those of the schema, the refusals and the OpenAPI document: else npm run docs', async (t) => {
    const openApi = await (await fetch(`${address}/openapi.json`)).json() as OpenApi
    const tables = docTables(openApi)
    t.same(Object.keys(tables), ['docs/api.md', 'docs/settings.md', 'docs/errors.md', 'docs/webhooks.md', 'docs/attach.md'])
    for (const [page, parts] of Object.entries(tables)) {
      const text = documents.get(page) ?? ''
      t.equal(text, fillTables(text, parts), page)
    }
  })

  t.test('its example runs and answers as shown', { skip: findProgram('oathtool') === undefined && 'needs oathtool' }, async (t) => {
    const [script = ''] = blocksAfter(readme, 'try')
    const [answer = '{}'] = blocksAfter(readme, 'answer')
    t.match(script, 'http://127.0.0.1:3000')
    const { stdout } = await run('sh', ['-euc', script.replaceAll('http://127.0.0.1:3000', address)])
    const answered = JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) as Record<string, unknown>
    t.strictSame(Object.keys(answered), Object.keys(JSON.parse(answer) as object))
    t.match(answered, { userId: /^[0-9a-f-]{36}$/, otpDeviceId: /^[0-9a-f-]{36}$/, otpTime: Number })
  })

  t.test('its own page is where it says', async (t) => {
    t.equal((await fetch(`${address}/docs`)).status, 200)
  })
})
