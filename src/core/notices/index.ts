import { de } from './languages/de.js'
import { en } from './languages/en.js'
import { es } from './languages/es.js'
import { fr } from './languages/fr.js'
import { ja } from './languages/ja.js'
import { pt } from './languages/pt.js'
import { shortened } from '../texts.js'
import { fill, languages, noticeKinds, type Language, type MessageKind, type NoticeKind, type Texts } from './texts.js'

export { languages, limitedKinds, messageKinds, noticeKinds } from './texts.js'
export type { Language, MessageKind, NoticeKind, Texts } from './texts.js'

/** Every text, by language. */
export const textsOf: Readonly<Record<Language, Texts>> = { en, de, fr, es, pt, ja }

/** Returns true if users are told of events of this kind. */
export const isNoticeKind = (kind: string): kind is NoticeKind => (noticeKinds as readonly string[]).includes(kind)

/** Returns the language of a tag such as `pt-BR`; null for one without texts. */
export function languageOf (tag: string): Language | null {
  const [primary = ''] = tag.trim().toLowerCase().split(/[-_]/)
  return languages.find((language) => language === primary) ?? null
}

/** A security event as `onSecurityEvent` and the webhook give it, as far as its message shows it. */
export interface NoticeEvent {
  /** Kind of the event; one of which users are not told gives no message. */
  kind: string
  /** Time of the event. */
  at: Date | string
  /** Address of the client. @default not said */
  ip?: string
  /** User agent as it came, or a readable name for it. */
  agent?: string
  /** Name of the device that the event is about. @default not said */
  deviceName?: string | null
}

/** Language and names of a message about an event. */
export interface NoticeOptions {
  /** Language of the message. @default 'en' */
  language?: Language
  /** Name of the service, in front of the subject and below the text. */
  issuer: string
  /** Name of the user in the greeting. */
  name: string
  /** Unused recovery codes, for `recovery_used`. @default not said */
  recoveryCodesLeft?: number
  /** Events of this kind without a message since the last message. @default 0 */
  more?: number
}

/** Message in plain text. */
export interface Notice {
  /** One line. */
  subject: string
  /** Plain text. */
  text: string
}

/** Longest name of a device or program in a message: one line. */
const MOST_CHARACTERS = 100

/** Returns text that somebody else chose as part of one line. Emoji and some scripts need the two joiners. */
const inLine = (text: string): string =>
  shortened(text.replace(/(?![\u200C\u200D])[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim(), MOST_CHARACTERS)

/** Acts of staff, and events that show that the password is known: each has advice of its own. */
const byStaff: readonly NoticeKind[] = ['otp_reset']
const ofPassword: readonly NoticeKind[] = ['otp_locked', 'otp_stopped']

/**
 * Renders the message that tells a user of a security event, for the mail program of a host.
 *
 * @returns subject and text; null for a kind of which users are not told
 */
export function renderNotice (event: NoticeEvent, options: NoticeOptions): Notice | null {
  const { kind, at, ip = '', agent = '', deviceName = null } = event
  if (!isNoticeKind(kind)) return null
  const { language = 'en', issuer, name, recoveryCodesLeft, more = 0 } = options
  const texts = textsOf[language]
  const { subject, text } = texts.notices[kind]
  const date = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(new Date(at))
  const advice = byStaff.includes(kind) ? texts.advice.staff : ofPassword.includes(kind) ? texts.advice.password : texts.advice.own
  const facts = [
    fill(texts.at, { at: `${date} UTC` }),
    ip === '' ? null : fill(texts.from, { ip: inLine(ip) }),
    agent === '' ? null : fill(texts.agent, { agent: inLine(agent) }),
    deviceName === null || deviceName === '' ? null : fill(texts.device, { device: inLine(deviceName) }),
    recoveryCodesLeft === undefined ? null : fill(texts.recoveryCodesLeft, { count: recoveryCodesLeft })
  ].filter((fact) => fact !== null)
  const paragraphs = [text, facts.join('\n'), more > 0 ? fill(texts.more, { count: more }) : null, fill(advice, { issuer: inLine(issuer) })]
  return framed(texts, subject, paragraphs.filter((paragraph) => paragraph !== null), { issuer, name })
}

/** Language, names and link of a message that no event causes. */
export interface MessageOptions extends Pick<NoticeOptions, 'language' | 'issuer' | 'name'> {
  /** Username of the account. */
  username: string
  /** Address of the page that acts; absent in a message without one. */
  link?: string
}

/** Renders a message that carries a link, or says that there is none. */
export function renderMessage (kind: MessageKind, options: MessageOptions): Notice {
  const { language = 'en', issuer, name, username, link = '' } = options
  const texts = textsOf[language]
  const { subject, text } = texts.messages[kind]
  return framed(texts, subject, [fill(text, { username: inLine(username), link })], { issuer, name })
}

function framed (texts: Texts, subject: string, paragraphs: readonly string[], { issuer, name }: { issuer: string, name: string }): Notice {
  const lines = [fill(texts.greeting, { name: inLine(name) }), ...paragraphs, inLine(issuer)]
  return { subject: `${inLine(issuer)}: ${subject}`, text: `${lines.join('\n\n')}\n` }
}
