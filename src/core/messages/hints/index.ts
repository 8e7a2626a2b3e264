import type { Language } from '../../notices/texts.js'
import { de } from './de.js'
import { en, type HintTexts } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

export const hintTexts: Readonly<Record<Language, HintTexts>> = { en, de, fr, es, pt, ja }
