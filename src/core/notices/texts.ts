/**
 * Kinds of security events of which the user is told through another channel than the session's (SP 800-63B-4 §4.6).
 * `email_changed` goes to the earlier address.
 */
export const noticeKinds = [
  'otp_enabled', 'otp_device_added', 'otp_device_removed', 'otp_disabled', 'recovery_regenerated', 'recovery_used',
  'otp_reset', 'otp_locked', 'otp_stopped', 'refresh_reused', 'password_changed', 'password_reset', 'email_changed'
] as const
/** Kind of security event of which the user is told. */
export type NoticeKind = typeof noticeKinds[number]

/** Kinds that a stranger or an unverified session can cause: one message an hour for each kind, which counts the others. */
export const limitedKinds = ['otp_locked', 'otp_stopped', 'refresh_reused'] as const satisfies readonly NoticeKind[]

/** Messages that no event causes: three that carry a link, and one for staff, who get none. */
export const messageKinds = ['verify_email', 'reset_password', 'undo_email_change', 'reset_password_staff'] as const
/** Message that no event causes. */
export type MessageKind = typeof messageKinds[number]

/** Languages of messages, the default first. */
export const languages = ['en', 'de', 'fr', 'es', 'pt', 'ja'] as const
/** Language of messages. */
export type Language = typeof languages[number]

/** One text: its subject and its sentences. */
interface Text { subject: string, text: string }

/** Everything that messages say in one language. `{name}` and others are filled in; a line whose value is absent is left out. */
export interface Texts {
  /** First line, with `{name}`. */
  greeting: string
  /** Subject and text for each kind of event. */
  notices: Record<NoticeKind, Text>
  /** Subject and text for each other message. */
  messages: Record<MessageKind, Text>
  /** Line with the time, `{at}`. */
  at: string
  /** Line with the address of the client, `{ip}`. */
  from: string
  /** Line with the program of the client, `{agent}`. */
  agent: string
  /** Line with the name of the device, `{device}`. */
  device: string
  /** Line with the number of unused recovery codes, `{count}`. */
  recoveryCodesLeft: string
  /** Sentence on further events of the kind, `{count}`. */
  more: string
  /** What to do if it was not the user; what to do after an act of staff; what to do if the password is known. */
  advice: { own: string, staff: string, password: string }
}

/** Returns a text with its values filled in. Only names of the text are replaced, and no value is read again. */
export function fill (text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (match, name: string) => Object.hasOwn(values, name) ? String(values[name]) : match)
}
