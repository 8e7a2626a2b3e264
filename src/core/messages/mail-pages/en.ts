/** Texts of the pages to which links in mails lead. */
export const en = {
  verify_email: {
    title: 'Confirm your e-mail address',
    text: 'Confirm that this address belongs to your account.',
    button: 'Confirm',
    done: 'Your address is confirmed. You can close this page.'
  },
  reset_password: {
    title: 'Set a new password',
    text: 'All your sessions will end. Your second factor stays as it is.',
    button: 'Set the password',
    done: 'Your password is set. You can log in with it now.'
  },
  undo_email_change: {
    title: 'Keep your e-mail address',
    text: 'All sessions of your account will end, and this address stays. Then log in and change your password.',
    button: 'Keep this address',
    done: 'This address stays, and all sessions have ended. Log in and change your password now.'
  },
  newPassword: 'New password',
  incomplete: 'This link is incomplete. Open the link of the mail again.',
  noAnswer: 'There is no answer. Try again in a moment.',
  needsScript: 'This page needs JavaScript to send the code of your link.'
}

/** The same in another language. */
export type Texts = typeof en
