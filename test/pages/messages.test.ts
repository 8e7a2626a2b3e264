/** Texts in six languages: each has the same keys, placeholders and kinds. */
import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { texts } from '../../pages/elements/messages/index.js'
import { texts as mailTexts } from '../../src/core/messages/mail-pages/index.js'
import { texts as pageTexts } from '../../pages/service/messages/index.js'
import { hintTexts } from '../../src/core/messages/hints/index.js'
import { refusalTexts } from '../../src/core/messages/index.js'
import { languages } from '../../src/core/notices/texts.js'
import { passwordReasons, refusals } from '../../src/core/refusals.js'
import { eventKinds } from '../../src/events/kinds.js'

type Table = Readonly<Record<string, unknown>>

/** Returns the texts of a table by their path. */
function flat (table: Table, path = ''): Array<[path: string, text: string]> {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === 'string' ? [[`${path}${key}`, value] as [string, string]] : flat(value as Table, `${path}${key}.`))
}
const placeholders = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort()

const all = { elements: texts, pages: pageTexts, 'pages of mails': mailTexts, refusals: refusalTexts, hints: hintTexts }
for (const [name, tables] of Object.entries(all)) {
  t.test(`${name}: each language has every text, with the same placeholders`, async (t) => {
    t.same(Object.keys(tables).sort(), [...languages].sort())
    const english = flat(tables.en)
    for (const language of languages) {
      const own = flat(tables[language])
      t.same(own.map(([path]) => path), english.map(([path]) => path), language)
      t.same(own.map(([, text]) => placeholders(text)), english.map(([, text]) => placeholders(text)), language)
      t.same(own.filter(([, text]) => text.trim() === ''), [], language)
    }
  })
  t.test(`${name}: a language is not a copy of English`, async (t) => {
    const english = new Map(flat(tables.en))
    for (const language of languages.filter((one) => one !== 'en')) {
      const same = flat(tables[language]).filter(([path, text]) => english.get(path) === text)
      t.ok(same.length <= english.size / 20, `${language}: ${same.map(([path]) => path).join(', ')}`)
    }
  })
}

t.test('every kind of event, reason and refusal has a text', async (t) => {
  t.same(Object.keys(texts.en.events), Object.keys(eventKinds))
  t.same(Object.keys(refusalTexts.de).sort(), Object.keys(refusals).sort())
  for (const reason of passwordReasons) t.ok(`password_${reason}` in texts.en, reason)
})

t.test('every text is used', async (t) => {
  const sources = await Promise.all(['pages/elements', 'pages/service'].map(async (folder) =>
    await Promise.all((await readdir(folder)).filter((name) => name.endsWith('.ts')).map((name) => readFile(`${folder}/${name}`, 'utf8')))))
  const source = [...sources.flat(2), await readFile('pages/elements/messages/index.ts', 'utf8')].join('\n')
  /** Families whose members are looked up by a part of their name. */
  const families = /^(use|kind|add|about|passkey|password)_/
  const keys = [...Object.keys(texts.en), ...Object.keys(pageTexts.en)].filter((key) => key !== 'events' && !families.test(key))
  t.same(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(source)), [])
})
