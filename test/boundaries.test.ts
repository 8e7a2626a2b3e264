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
const eslint = new ESLint({ ruleFilter: ({ ruleId }) => ruleId.startsWith('boundaries/') })
// The linter reads the whole tree once; on a busy machine that takes a while.
t.setTimeout(300_000)

/** Returns a file that is directly in the layer's folder. */
async function fileOf (layer: string): Promise<string> {
  const files = (await readdir(layer, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
  const own = files.find((name) => !names.some((other) => other.startsWith(`${layer}/`) && join(layer, name).startsWith(`${other}/`)))
  return posix.join(layer, own!)
}

const files = new Map<string, string>()
for (const layer of names) files.set(layer, await fileOf(layer))

/** Returns the lines of a planted file on which the linter refuses an import. */
async function refusedLines (layer: string, lines: string[]): Promise<string[]> {
  const [result] = await eslint.lintText(lines.join('\n') + '\n', { filePath: posix.join(layer, 'planted.ts') })
  const refused = result!.messages.filter(({ ruleId }) => ruleId?.startsWith('boundaries/dependencies'))
  return [...new Set(refused.map(({ line }) => lines[line - 1]!))]
}

t.test('each layer is refused the folders and packages that the allow list does not name, static and dynamic', async (t) => {
  for (const layer of names) {
    const { folders, packages } = layers[layer]!
    const pathOf = (other: string) => posix.relative(layer, files.get(other)!).replace(/^(?!\.)/, './').replace(/\.ts$/, '.js')
    const planted = [
      ...names.filter((other) => other !== layer).map((other) => ({ path: pathOf(other), isAllowed: folders.includes(other) })),
      ...Object.keys(GUARDED).map((name) => ({ path: name, isAllowed: packages.includes(name) }))
    ].flatMap(({ path, isAllowed }) => [`import '${path}'`, `await import('${path}')`].map((line) => ({ line, isAllowed })))
    const refused = await refusedLines(layer, planted.map(({ line }) => line))
    t.same(refused.toSorted(), planted.filter(({ isAllowed }) => !isAllowed).map(({ line }) => line).toSorted(), layer)
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
