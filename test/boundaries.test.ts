import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, posix, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ESLint } from 'eslint'
import t from 'tap'

interface Layer { folders: string[], packages: string[] }
interface Config { layers: Record<string, Layer>, GUARDED: Record<string, string[]> }

const { layers, GUARDED } = await import(pathToFileURL(resolve('eslint.config.js')).href) as Config
const names = Object.keys(layers)
const eslint = new ESLint()
// The linter reads the whole tree once; on a busy machine that takes a while.
t.setTimeout(300_000)

/** A file that stands in the layer itself. */
async function fileOf (layer: string): Promise<string> {
  const files = (await readdir(layer, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
  const own = files.find((name) => !names.some((other) => other.startsWith(`${layer}/`) && join(layer, name).startsWith(`${other}/`)))
  return posix.join(layer, own!)
}

const files = new Map<string, string>()
for (const layer of names) files.set(layer, await fileOf(layer))

/** Lines of a planted file that the linter refuses for an import. */
async function refusedLines (layer: string, lines: string[]): Promise<string[]> {
  const [result] = await eslint.lintText(lines.join('\n') + '\n', { filePath: posix.join(layer, 'planted.ts') })
  const refused = result!.messages.filter(({ ruleId }) => ruleId?.startsWith('boundaries/dependencies'))
  return [...new Set(refused.map(({ line }) => lines[line - 1]!))]
}

t.test('each layer is refused what the allow list does not name, static and dynamic', async (t) => {
  for (const layer of names) {
    const others = names.filter((other) => other !== layer)
    const importOf = (other: string) => posix.relative(layer, files.get(other)!).replace(/^(?!\.)/, './').replace(/\.ts$/, '.js')
    for (const spell of [(path: string) => `import '${path}'`, (path: string) => `await import('${path}')`]) {
      const refused = others.filter((other) => !layers[layer]!.folders.includes(other)).map((other) => spell(importOf(other)))
      t.same((await refusedLines(layer, others.map((other) => spell(importOf(other))))).toSorted(), refused.toSorted(), layer)
    }
  }
})

t.test('a guarded package is for the layers that name it', async (t) => {
  for (const layer of names) {
    const packages = Object.keys(GUARDED)
    const refused = packages.filter((name) => !layers[layer]!.packages.includes(name)).map((name) => `import '${name}'`)
    t.same((await refusedLines(layer, packages.map((name) => `import '${name}'`))).toSorted(), refused.toSorted(), layer)
  }
})

t.test('a folder that is not listed may not be imported', async (t) => {
  const [result] = await eslint.lintText("import '../../test/helpers/wait.js'\n", { filePath: 'src/accounts/planted.ts' })
  t.not(result!.messages.filter(({ ruleId }) => ruleId?.startsWith('boundaries/')).length, 0)
})

t.test('every folder of src is a layer', async (t) => {
  const folders = (await readdir('src', { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => `src/${name}`)
  t.same(folders.filter((folder) => !(folder in layers)), [])
  t.same(names.filter((layer) => !existsSync(layer)), [])
})
