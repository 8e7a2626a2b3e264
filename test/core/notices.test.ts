import t from 'tap'
import { languages, languageOf, messageKinds, noticeKinds, renderMessage, renderNotice, textsOf } from '../../src/core/notices/index.js'

/** Returns the names of the values that a text takes, in order. */
const placeholders = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort()

/** Returns every text of a language by its path. */
function flat (value: object, path = ''): Array<[string, string]> {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    typeof inner === 'string' ? [[`${path}${name}`, inner] as [string, string]] : flat(inner as object, `${path}${name}.`))
}

t.test('every language says everything, with the same values', async (t) => {
  const english = new Map(flat(textsOf.en))
  for (const language of languages) {
    const texts = new Map(flat(textsOf[language]))
    t.same([...texts.keys()], [...english.keys()], language)
    for (const [path, text] of texts) {
      t.ok(text.trim(), `${language} ${path}`)
      t.same(placeholders(text), placeholders(english.get(path)!), `${language} ${path}`)
      if (language !== 'en' && text.length > 20) t.not(text, english.get(path), `${language} ${path} is translated`)
    }
  }
})

t.test('each notice shows time, network and program, in each language', async (t) => {
  for (const language of languages) {
    for (const kind of noticeKinds) {
      const event = { kind, at: '2026-11-23T09:00:00.000Z', ip: '198.51.100.7', agent: 'Firefox on Linux', deviceName: 'Phone' }
      const { subject, text } = renderNotice(event, { language, issuer: 'Example', name: 'Ada' })!
      t.ok(subject.startsWith('Example: '))
      for (const part of ['2026', 'UTC', '198.51.100.7', 'Firefox on Linux', 'Phone', 'Ada', 'Example']) t.ok(text.includes(part))
      t.notMatch(text, /\{\w+\}/)
    }
    for (const kind of messageKinds) {
      const link = 'https://example.org/#token=x'
      const { text } = renderMessage(kind, { language, issuer: 'Example', name: 'Ada', username: 'ada', link })
      t.equal(text.includes(link), kind !== 'reset_password_staff')
      t.notMatch(text, /\{\w+\}/)
    }
  }
})

t.test('text that users chose stays on its line and fills nothing in', async (t) => {
  const { text } = renderNotice(
    { kind: 'otp_enabled', at: new Date(0), agent: 'a\r\nb', deviceName: '{issuer}\u2028c' }, { issuer: 'Example', name: '{at}\nEve' }
  )!
  t.ok(text.includes('{at} Eve') && text.includes('{issuer} c') && text.includes('a  b'))
})

t.test('other kinds have no notice; a language is found by its first part', async (t) => {
  t.equal(renderNotice({ kind: 'logged_in', at: new Date() }, { issuer: 'Example', name: 'Ada' }), null)
  t.equal(languageOf('pt-BR'), 'pt')
  t.equal(languageOf('xx'), null)
})
