import { Type } from '@sinclair/typebox'
import { languages, type Language } from '../../src/core/notices/texts.js'
import { longest } from '../../src/core/texts.js'
import {
  DateTime, Email, Name, NewPassword, NullableDateTime, NullableInteger, NullableString, Password, Phone, strict
} from '../schemas.js'
import { OauthProfile, oauthProfileExample } from './oauth-profiles.js'

const Reference = NullableInteger('Of an account elsewhere. Staff set it.')
export const Account = Type.Object({
  id: Type.String({ format: 'uuid' }),
  username: Type.String(),
  email: Type.String(),
  emailVerifiedAt: Type.Unsafe<Date | null>({
    ...NullableDateTime, description: 'Null while the address is not verified: no notice goes to it.'
  }),
  pendingEmail: NullableString('Address that replaces `email` once it is verified; null if there is none.'),
  locale: NullableString('Language of mails; null if none was chosen.'),
  phone: Type.String(),
  firstName: Type.String(),
  lastName: Type.String(),
  powerAccountId: Reference,
  powerContactId: Reference,
  isOtpEnabled: Type.Boolean({ description: 'Derived: true if a device is confirmed.' }),
  oauthProfiles: Type.Array(OauthProfile),
  createdAt: DateTime,
  updatedAt: DateTime
}, {
  title: 'Account',
  description: 'An account, as its owner sees it.',
  examples: [{
    id: '0f8fad5b-d9cb-469f-a165-70867728950e',
    username: 'ada',
    email: 'ada@example.org',
    emailVerifiedAt: '2026-11-23T09:05:00.000Z',
    pendingEmail: null,
    locale: 'en',
    phone: '',
    firstName: 'Ada',
    lastName: 'Lovelace',
    powerAccountId: null,
    powerContactId: null,
    isOtpEnabled: true,
    oauthProfiles: [oauthProfileExample],
    createdAt: '2026-11-23T09:00:00.000Z',
    updatedAt: '2026-11-23T09:00:00.000Z'
  }]
})

/** Language of mails. */
const Locale = Type.Unsafe<Language>({
  title: 'Language', type: 'string', enum: [...languages], description: 'Language of mails; the list is open.'
})

export const ProfileChange = Type.Object({
  email: Type.Optional(Email),
  phone: Type.Optional(Phone),
  firstName: Type.Optional(Name(longest.firstName)),
  lastName: Type.Optional(Name(longest.lastName)),
  locale: Type.Optional(Locale)
}, { ...strict, minProperties: 1, title: 'ProfileChange', examples: [{ phone: '+44 20 7946 0000', firstName: 'Augusta Ada' }] })

export const PasswordChange = Type.Object({
  current: Password,
  next: NewPassword
}, {
  ...strict, title: 'PasswordChange', examples: [{ current: 'correct horse battery staple', next: 'a stapler, a horse, a battery' }]
})
