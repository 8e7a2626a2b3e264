import { readFile } from 'node:fs/promises'

/** A code block that is a file of the repository, whole: it stands after `<!-- path -->`. */
const FILE = /^<!-- (test\/\S+) -->\n```(\w+)\n[^]*?^```$/gm

/** The document with each file in its place as it is now. */
export async function fillFiles (document: string): Promise<string> {
  const texts = new Map<string, string>()
  for (const [, path = ''] of document.matchAll(FILE)) texts.set(path, await readFile(path, 'utf8'))
  return document.replace(FILE, (_block, path: string, language: string) => `<!-- ${path} -->\n\`\`\`${language}\n${texts.get(path)}\`\`\``)
}
