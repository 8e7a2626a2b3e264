import { randomUUID } from 'node:crypto'
import type { Config } from '../config/config.js'
import { mailSettingsOf, senderOptionsOf } from '../config/mail.js'
import { isMailable } from '../core/mailbox.js'
import { createMailSender } from '../events/mail/sender.js'
import { CommandError, MisuseError, type Io } from './io.js'

/** Sends one message to an address, as the service would, and prints the result. */
export async function testMailCommand (io: Io, config: Config, address: string): Promise<void> {
  if (config.mailUrl === undefined) throw new CommandError('There are no mails: set MAIL_URL, MAIL_FROM and PUBLIC_URL.')
  if (!isMailable(address)) throw new MisuseError('This is no e-mail address that mails can be sent to.')
  const { issuer, publicUrl } = mailSettingsOf(config)
  const sender = await createMailSender(senderOptionsOf(config))
  try {
    const result = await sender.send({
      to: { name: '', address }, subject: `${issuer}: test`, text: `Mails of ${publicUrl} arrive here.\n`, id: randomUUID()
    })
    if (result.outcome !== 'sent') throw new CommandError(`The mail server did not take the message: ${result.reason}`)
    io.print({ sent: true, address }, ['The mail server took the message.'])
  } finally {
    sender.close()
  }
}
