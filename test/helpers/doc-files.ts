import { readFile } from 'node:fs/promises'

/** A code block with a whole file of the repository. It follows `<!-- path -->`. */
const FILE = /^<!-- (test\/\S+) -->\n```(\w+)\n[^]*?^```$/gm

/** Returns the document with the current text of each file. */
export async function fillFiles (document: string): Promise<string> {
  const texts = new Map<string, string>()
  for (const [, path = ''] of document.matchAll(FILE)) texts.set(path, await readFile(path, 'utf8'))
  return document.replace(FILE, (_block, path: string, language: string) => `<!-- ${path} -->\n\`\`\`${language}\n${texts.get(path)}\`\`\``)
}
