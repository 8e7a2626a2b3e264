import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'src', 'attach', 'options')
const FILES = ['factor-options.ts', 'route-options.ts']

export interface DocumentedOption {
  name: string
  isRequired: boolean
  text: string
  /** The text after `@default`. */
  initial: string | undefined
  example: string | undefined
}

/** Returns every option of the plugin, as its published type documents it. */
export function documentedOptions (): DocumentedOption[] {
  return FILES.flatMap((file) => {
    const source = readFileSync(join(FOLDER, file), 'utf8')
    const members = /^export interface \w+Options \{\n([^]*?)^\}$/m.exec(source)?.[1] ?? ''
    return [...members.matchAll(/^ {2}\/\*\*\n([^]*?)\n {3}\*\/\n {2}(\w+)(\??):/gm)].map(([, comment = '', name = '', mark]) => {
      const [text = '', ...tags] = comment.replace(/^ {3}\* ?/gm, '').split(/^@/m)
      const tag = (wanted: string) => tags.find((one) => one.split(/\s/, 1)[0] === wanted)?.slice(wanted.length).trim()
      return { name, isRequired: mark === '', text: oneLine(text), initial: tag('default'), example: tag('example') }
    })
  })
}

const oneLine = (text: string) => text.trim().replace(/\s+/g, ' ')

/** Rows for the table in docs/attach.md, the required options first. */
export function optionRows (): string[][] {
  const options = documentedOptions().toSorted((a, b) => Number(b.isRequired) - Number(a.isRequired))
  return options.map(({ name, isRequired, text, initial = '' }) => {
    const isValue = /^['\d{[]|^(true|false)$/.test(initial)
    return [`\`${name}\``, isRequired ? 'required' : isValue ? `\`${oneLine(initial)}\`` : initial, text.replaceAll('|', '\\|')]
  })
}
