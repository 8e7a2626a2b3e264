import type { Texts } from '../texts.js'

export const en: Texts = {
  greeting: 'Hello {name},',
  notices: {
    otp_enabled: { subject: 'Two-factor authentication is on', text: 'Two-factor authentication was turned on for your account.' },
    otp_device_added: { subject: 'A second factor was added', text: 'A further second factor was added to your account.' },
    otp_device_removed: { subject: 'A second factor was removed', text: 'A second factor was removed from your account.' },
    otp_disabled: {
      subject: 'Two-factor authentication is off',
      text: 'Two-factor authentication was turned off for your account. Your password alone now opens it.'
    },
    recovery_regenerated: {
      subject: 'New recovery codes', text: 'New recovery codes were made for your account. The earlier ones are no longer valid.'
    },
    recovery_used: { subject: 'A recovery code was used', text: 'A recovery code was used to sign in to your account.' },
    otp_reset: {
      subject: 'Your second factor was reset', text: 'Staff reset the second factor of your account. All your sessions have ended.'
    },
    otp_locked: {
      subject: 'Wrong codes for your account',
      text: 'Too many wrong codes were given for your account, after the right password. If it was not you, somebody knows your password.'
    },
    otp_stopped: {
      subject: 'Codes are no longer accepted',
      text: 'So many wrong codes were given for your account, after the right password, that no code of an app is accepted any more ' +
        'until you use a recovery code or staff unlock the account. If it was not you, somebody knows your password.'
    },
    refresh_reused: {
      subject: 'A session was ended',
      text: 'A token of one of your sessions was presented twice, so there may be a copy of it. That session has ended.'
    },
    password_changed: { subject: 'Your password was changed', text: 'The password of your account was changed.' },
    password_reset: {
      subject: 'Your password was reset', text: 'A new password was set for your account by a link. All your sessions have ended.'
    },
    email_changed: { subject: 'Your e-mail address was changed', text: 'The e-mail address of your account was changed.' }
  },
  messages: {
    verify_email: {
      subject: 'Confirm your e-mail address',
      text: 'Confirm that this is the e-mail address of the account {username}. The link is valid for 24 hours:\n\n{link}\n\n' +
        'If you did not ask for this, you need not do anything.'
    },
    reset_password: {
      subject: 'Set a new password',
      text: 'A new password was asked for the account {username}. The link is valid for 30 minutes and can be used once:\n\n{link}\n\n' +
        'If you did not ask for this, you need not do anything: your password stays as it is.'
    },
    undo_email_change: {
      subject: 'Your e-mail address is to be changed',
      text: 'Another e-mail address was given for the account {username}. If it was you, you need not do anything.\n\n' +
        'If it was not you, open this link within 72 hours. It ends all sessions and keeps this address:\n\n{link}'
    },
    reset_password_staff: {
      subject: 'Your password cannot be reset by mail',
      text: 'A new password was asked for the account {username}. A member of staff without a second factor gets no link. ' +
        'Ask another member of staff.'
    }
  },
  at: 'When: {at}',
  from: 'Network address: {ip}',
  agent: 'Program: {agent}',
  device: 'Name: {device}',
  recoveryCodesLeft: 'Recovery codes left: {count}',
  more: 'This has happened {count} more times since the last message about it.',
  advice: {
    own: 'If it was not you, change your password now and end your other sessions.',
    staff: 'If you did not ask for this, tell the staff of {issuer} now.',
    password: 'If it was not you, change your password now. Your second factor has kept the account closed.'
  }
}
