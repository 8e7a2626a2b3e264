import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Owner } from './teardown.js'

/** Mail as it arrived. */
export interface ReceivedMail {
  /** Envelope. */
  to: string[]
  from: string
  /** Raw text of the message. */
  raw: string
  headers: Record<string, string>
  subject: string
  text: string
  /** Token of its link; null if it has none. */
  token: string | null
}

/** Reply that the server gives in place of its own, at a step: `550 5.1.1 No such user`. */
export interface Replies { rcpt?: string, data?: string, from?: string }

export interface MailServer {
  url: string
  received: ReceivedMail[]
  /** May be changed at any time. */
  replies: Replies
  close (): Promise<void>
}

function errorOf (reply: string): Error {
  const [code = '', ...words] = reply.split(' ')
  return Object.assign(new Error(words.join(' ')), { responseCode: Number(code) })
}

/** Starts an SMTP server of npm's `smtp-server` on a free port, or on the port of one that was closed. */
export async function mailServer (t: Owner, options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
  const received: ReceivedMail[] = []
  const replies: Replies = {}
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onMailFrom: (_address, _session, done) => { done(replies.from === undefined ? null : errorOf(replies.from)) },
    onRcptTo: (_address, _session, done) => { done(replies.rcpt === undefined ? null : errorOf(replies.rcpt)) },
    onData (stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      stream.on('end', () => {
        if (replies.data !== undefined) return done(errorOf(replies.data))
        read(Buffer.concat(chunks).toString(), session.envelope).then((mail) => { received.push(mail); done() }, done)
      })
    },
    ...options
  })
  server.on('error', () => {})
  server.listen(port, '127.0.0.1')
  await once(server.server, 'listening')
  const address = server.server.address() as AddressInfo
  const close = async () => { await new Promise<void>((resolve) => { server.close(() => { resolve() }) }) }
  t.teardown(close)
  return { url: `smtp://127.0.0.1:${address.port}`, received, replies, close }
}

async function read (raw: string, { mailFrom, rcptTo }: { mailFrom: unknown, rcptTo: Array<{ address: string }> }): Promise<ReceivedMail> {
  const { headers, subject = '', text = '' } = await PostalMime.parse(raw)
  return {
    from: mailFrom === false ? '' : (mailFrom as { address: string }).address,
    to: rcptTo.map(({ address }) => address),
    raw,
    headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])),
    subject,
    text,
    token: /#token=([A-Za-z0-9_-]{43})\b/.exec(text)?.[1] ?? null
  }
}
