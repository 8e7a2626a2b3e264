import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface ImportGraph {
  /** Files that are loaded with the entry, or that the compiler reads with it. */
  files: Set<string>
  /** Packages that these files need. */
  packages: Set<string>
  /** Packages that are loaded later, by `import()`. */
  later: Set<string>
}

const STATIC = /^\s*(?:import|export)\b[^'";]*?\bfrom\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

/**
 * Returns the transitive imports of a compiled file. For a `.d.ts` file, the imports of its types.
 *
 * @param entry `….js` or `….d.ts`
 */
export async function importGraph (entry: string): Promise<ImportGraph> {
  const isTypes = entry.endsWith('.d.ts')
  const graph: ImportGraph = { files: new Set(), packages: new Set(), later: new Set() }
  const waiting = [entry]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (graph.files.has(file)) continue
    graph.files.add(file)
    const text = await readFile(file, 'utf8')
    const dynamic = [...text.matchAll(DYNAMIC)].map(([, name = '']) => name)
    const fixed = [...text.matchAll(STATIC)].map(([, from, alone]) => from ?? alone ?? '')
    for (const name of isTypes ? [...fixed, ...dynamic] : fixed) {
      if (name.startsWith('.')) waiting.push(join(dirname(file), isTypes ? name.replace(/\.js$/, '.d.ts') : name))
    }
    for (const name of isTypes ? [] : dynamic) {
      if (!name.startsWith('.')) continue
      const { packages, later } = await importGraph(join(dirname(file), name))
      for (const each of [...packages, ...later]) graph.later.add(each)
    }
    // `import('x')` in a declaration is a type, which the compiler resolves like a static import.
    for (const name of isTypes ? [...fixed, ...dynamic] : fixed) if (isPackage(name)) graph.packages.add(packageOf(name))
    if (!isTypes) for (const name of dynamic) if (isPackage(name)) graph.later.add(packageOf(name))
  }
  return graph
}

const isPackage = (name: string) => !name.startsWith('.') && !name.startsWith('node:')

function packageOf (name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}
