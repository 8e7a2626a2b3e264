import type { Language } from '../../notices/texts.js'
import { de } from './de.js'
import { en, type Texts } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

export const texts: Readonly<Record<Language, Texts>> = { en, de, fr, es, pt, ja }
