import { refusalTexts } from '../../../src/core/messages/index.js'
import { fill, languages, type Language } from '../../../src/core/notices/texts.js'
import type { RefusalCode } from '../../../src/core/refusals.js'
import { de } from './de.js'
import { en, type Texts } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { ja } from './ja.js'
import { pt } from './pt.js'

export { fill }

/** The texts of the elements, and those of refusals. */
export type Messages = Texts & Record<RefusalCode, string>

export const texts: Readonly<Record<Language, Texts>> = { en, de, fr, es, pt, ja }

/** Returns a language tag whose texts exist: `pt-BR` keeps its region, for dates. */
export function languageOf (tag: string): string {
  return isKnown(tag) ? tag : 'en'
}

/** Returns the texts of a language tag. */
export function textsOf (tag: string): Messages {
  const language = isKnown(tag) ? base(tag) as Language : 'en'
  return { ...refusalTexts[language], ...texts[language] }
}

/** Returns the text of a kind of event. The list is open: an unknown one is shown by its name. */
export function eventText ({ events }: Messages, kind: string): string {
  return (events as Readonly<Record<string, string>>)[kind] ?? kind.replaceAll('_', ' ')
}

/** Returns the name of a program in the language: the service writes `Firefox on Linux`, or `Unknown`. */
export function agentText ({ agentOn, agentUnknown }: Messages, agent: string): string {
  if (agent === 'Unknown') return agentUnknown
  const [, program = '', system = ''] = /^(.+) on (.+)$/.exec(agent) ?? []
  return system === '' ? agent : fill(agentOn, { program, system })
}

const base = (tag: string): string => tag.toLowerCase().split('-')[0]!
const isKnown = (tag: string): boolean => (languages as readonly string[]).includes(base(tag))
