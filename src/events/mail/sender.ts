import type { SentMessageInfo } from 'nodemailer'
import { isMailable, type Mailbox } from '../../core/mailbox.js'
import { MAIL_CONNECT_MS, MAIL_MS } from '../../timing/limits.js'

/** Connections to the mail server. */
const MOST_CONNECTIONS = 3

export interface Mail {
  to: Mailbox
  subject: string
  text: string
  /** Local part of the Message-ID: the same at each attempt, so that a repeat can be recognised. */
  id: string
}

/**
 * `refused`: the server refused this recipient for good (RFC 3463 5.1.x). `failed`: any other fault, which may pass: a server
 * with a fault of its own also answers 5xx.
 */
export type Outcome = { outcome: 'sent' } | { outcome: 'refused' | 'failed', reason: string }

export interface MailSender {
  /** Never rejects. */
  send (mail: Mail): Promise<Outcome>
  close (): void
}

export interface MailSenderOptions {
  /** `smtp://` or `smtps://`, with user and password where the server asks for them. */
  url: string
  from: Mailbox
  /** False allows plain text over a network. Loopback needs no TLS. @default true */
  requiresTls?: boolean
  /** Certificate authorities, in place of the system's, in PEM. */
  ca?: string
  timeoutMs?: number
}

/** A mail server of this machine: nothing crosses a network. */
const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host)

/**
 * Sends mails over SMTP. A pool keeps connections; `close` breaks off mails that are on their way. The library is loaded here,
 * where it is used.
 */
export async function createMailSender (options: MailSenderOptions): Promise<MailSender> {
  const { url, from, requiresTls = true, ca, timeoutMs = MAIL_MS } = options
  const { createTransport } = await import('nodemailer')
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const transport = createTransport({
    host,
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && requiresTls && !isLoopback(hostname),
    // Without this, a server that offers no log-in would get the mail without one.
    ...(username === '' ? {} : { forceAuth: true, auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    pool: true,
    maxConnections: MOST_CONNECTIONS,
    connectionTimeout: MAIL_CONNECT_MS,
    greetingTimeout: MAIL_CONNECT_MS,
    socketTimeout: MAIL_CONNECT_MS,
    dnsTimeout: MAIL_CONNECT_MS,
    disableFileAccess: true,
    disableUrlAccess: true
  })
  const closing = new AbortController()
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)

  return {
    async send ({ to, subject, text, id }) {
      if (!isMailable(to.address)) return { outcome: 'refused', reason: 'the address has characters that no mail is sent to' }
      try {
        const sent: SentMessageInfo = await transport.sendMail({
          from,
          to,
          subject,
          text,
          messageId: `<${id}@${domain}>`,
          textEncoding: 'quoted-printable',
          headers: { 'Auto-Submitted': 'auto-generated' },
          signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])
        })
        return (sent.rejected ?? []).length === 0 ? { outcome: 'sent' } : { outcome: 'failed', reason: 'the recipient was rejected' }
      } catch (error) {
        return outcomeOf(error)
      }
    },
    close () {
      closing.abort()
      transport.close()
    }
  }
}

interface SmtpError { code?: string, command?: string, responseCode?: number, response?: string }

/** The text of the server quotes the address: it goes into no log. */
function outcomeOf (error: unknown): Outcome {
  const { code = 'unknown', command = '', responseCode, response = '' } = error as SmtpError
  const enhanced = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})/.exec(response)?.[1]
  const reason = [code, command, responseCode, enhanced].filter((part) => part !== undefined && part !== '').join(' ')
  const isOfRecipient = command === 'RCPT TO' || command === 'DATA'
  const isForGood = isOfRecipient && (responseCode ?? 0) >= 500 && enhanced?.startsWith('5.1.') === true
  return { outcome: isForGood ? 'refused' : 'failed', reason }
}
