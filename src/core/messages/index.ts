import type { Language } from '../notices/texts.js'
import { refusals, type RefusalCode } from '../refusals.js'
import { de } from './de.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

/** Messages of every refusal in one language. */
export type RefusalTexts = Readonly<Record<RefusalCode, string>>

const en = Object.fromEntries(Object.entries(refusals).map(([code, [, message]]) => [code, message])) as RefusalTexts

/** Messages of refusals, by language. The English ones stand in the table of refusals. */
export const refusalTexts: Readonly<Record<Language, RefusalTexts>> = { en, de, fr, es, pt, ja }
