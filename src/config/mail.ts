import { parseMailbox } from '../core/mailbox.js'
import type { MessageSettings } from '../events/mail/message.js'
import type { MailSenderOptions } from '../events/mail/sender.js'
import type { Config } from './config.js'

/** Returns the mail server and the sender. Only where MAIL_URL is set: the others are required with it. */
export const senderOptionsOf = ({ mailUrl, mailFrom, mailTls }: Config): MailSenderOptions => ({
  url: mailUrl!, from: parseMailbox(mailFrom!)!, requiresTls: mailTls === 'on'
})

/** Returns name, base and paths of the links in mails. */
export const mailSettingsOf = (config: Config): MessageSettings => ({
  issuer: config.otpIssuer,
  publicUrl: config.publicUrl!,
  paths: {
    verify_email: config.verifyEmailPath, reset_password: config.resetPasswordPath, undo_email_change: config.undoEmailChangePath
  }
})
