import { fill } from '../../notices/texts.js'
import type { HintTexts } from './en.js'

/** Sentence of a table, with the values that it is filled with. Code is free of texts, so that a sentence exists in each language. */
export interface Hint {
  key: keyof HintTexts
  values?: Readonly<Record<string, HintValue>>
}

/** Value of a hint: as it is, a word of the table, or several of which one is right. */
type HintValue = string | number | Hint | readonly HintValue[]

/** Returns the sentence of a hint in the language of the table. */
export function hintText ({ key, values = {} }: Hint, texts: HintTexts): string {
  return fill(texts[key], Object.fromEntries(Object.entries(values).map(([name, value]) => [name, valueText(value, texts)])))
}

function valueText (value: HintValue, texts: HintTexts): string {
  if (typeof value !== 'object') return String(value)
  return isList(value) ? value.map((one) => valueText(one, texts)).join(texts.or) : hintText(value, texts)
}

const isList = (value: HintValue): value is readonly HintValue[] => Array.isArray(value)
