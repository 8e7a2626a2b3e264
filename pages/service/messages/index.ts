import type { Language } from '../../../src/core/notices/texts.js'
import { textsOf as elementTexts, type Messages } from '../../elements/messages/index.js'
import { de } from './de.js'
import { en, type Texts } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

export const texts: Readonly<Record<Language, Texts>> = { en, de, fr, es, pt, ja }

/** Texts of the elements, and of the pages under `page`. */
export type PageMessages = Messages & { page: Texts }

/** @param tag a language tag that `languageOf` returned */
export function pageTexts (tag: string): PageMessages {
  return { ...elementTexts(tag), page: texts[tag.toLowerCase().split('-')[0] as Language] }
}
