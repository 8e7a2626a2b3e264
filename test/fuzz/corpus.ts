import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Input } from './target.js'

const FOLDER = 'test/fuzz/corpus'

/** Returns the inputs that earlier runs kept. */
export async function readCorpus (name: string): Promise<Input[]> {
  const text = await readFile(join(FOLDER, `${name}.json`), 'utf8').catch(() => '[]')
  return JSON.parse(text) as Input[]
}

/** Writes one input a line. Other characters than those of ASCII are escaped, so that halves of pairs stay as they are. */
export async function writeCorpus (name: string, inputs: readonly Input[]): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  const escaped = (input: Input) => JSON.stringify(input)
    .replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  await writeFile(join(FOLDER, `${name}.json`), `[\n${inputs.map(escaped).join(',\n')}\n]\n`)
}
