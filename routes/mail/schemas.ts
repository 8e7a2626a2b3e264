import { Type } from '@sinclair/typebox'
import { USERNAME_MAX_LENGTH } from '../../src/core/usernames.js'
import { Name, NewPassword, strict } from '../schemas.js'

const tokenExample = 'x0Rk0zJq2o3YbQm8o1mQ3r9tV5wX7yZ0aB2cD4eF6gH'

const Token = Type.String({
  title: 'LinkToken', pattern: '^[A-Za-z0-9_-]{43}$', description: 'What follows `#token=` in the link of the mail.'
})

export const LinkToken = Type.Object({ token: Token }, { ...strict, title: 'MailedToken', examples: [{ token: tokenExample }] })

export const ForgottenPassword = Type.Object({
  username: Name(USERNAME_MAX_LENGTH, { minLength: 1, description: 'In any case and width, as at the log-in.' })
}, { ...strict, title: 'ForgottenPassword', examples: [{ username: 'ada' }] })

export const PasswordReset = Type.Object({ token: Token, next: NewPassword }, {
  ...strict, title: 'PasswordReset', examples: [{ token: tokenExample, next: 'a stapler, a horse, a battery' }]
})
