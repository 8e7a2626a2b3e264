import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A row of docs/requirements.md: its id, and the hand-written part before its last cell. */
const ROW = /^(\| ([A-Z]\d{1,2}) \|.*\|)[^|\n]*\|$/gm
/** A test's name begins with the ids of the requirements that it shows. */
const NAMED = /(?:\btest\(|\bname: )\s*['"`]((?:[A-Z]\d{1,2}[ ,]+)+)/g

/** Returns the test files by requirement id, in order of their paths. */
export async function testsByRequirement (): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  const paths = (await readdir('test', { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
  for (const path of paths) {
    const text = await readFile(join('test', path), 'utf8')
    const ids = new Set([...text.matchAll(NAMED)].flatMap(([, given = '']) => given.match(/[A-Z]\d{1,2}/g) ?? []))
    for (const id of ids) found.set(id, [...found.get(id) ?? [], path])
  }
  return found
}

/** Returns the ids of a document's rows. */
export function requirementsIn (document: string): string[] {
  return [...document.matchAll(ROW)].map(([, , id = '']) => id)
}

/** Returns the document with the tests of each row in its last cell. */
export async function fillRequirements (document: string): Promise<string> {
  const tests = await testsByRequirement()
  return document.replace(ROW, (_line, written: string, id: string) => `${written} ${cell(tests.get(id) ?? [])} |`)
}

function cell (paths: readonly string[]): string {
  return paths.length === 0 ? 'none yet' : paths.map((path) => `[${path.replace(/\.test\.ts$|\.ts$/, '')}](../test/${path})`).join(', ')
}
