import type { Language } from '../notices/texts.js'
import { hintOf, refusals, type RefusalCode, type RefusalDetails } from '../refusals.js'
import { de } from './de.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { hintText } from './hints/hint.js'
import { hintTexts } from './hints/index.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

/** Messages of every refusal in one language. */
export type RefusalTexts = Readonly<Record<RefusalCode, string>>

const en = Object.fromEntries(Object.entries(refusals).map(([code, [, message]]) => [code, message])) as RefusalTexts

/** Messages of refusals, by language. The English ones stand in the table of refusals. */
export const refusalTexts: Readonly<Record<Language, RefusalTexts>> = { en, de, fr, es, pt, ja }

/** Returns the message of a refusal in a language: its hint, or the sentence of its code. */
export function messageIn (language: Language, code: RefusalCode, details: RefusalDetails): string {
  const hint = hintOf(code, details)
  return hint === undefined ? refusalTexts[language][code] : hintText(hint, hintTexts[language])
}
