import { Type } from '@sinclair/typebox'
import { SecurityEvent } from '../account/security-events.js'
import { needsFresh, needsVerified } from '../refused.js'
import { longest } from '../../src/core/texts.js'
import { DateTime, Line, NullableDateTime, NullableInteger, NullableString, strict } from '../schemas.js'

/** Refusals of operations by staff, to read and to change. */
export const needsStaff = [...needsVerified, 'STAFF_REQUIRED' as const]
export const needsFreshStaff = [...needsFresh, 'STAFF_REQUIRED' as const, 'NOT_YOURSELF' as const, 'NOT_FOUND' as const]

export const Done = Type.Null({ description: 'It is done.' })

const Reference = NullableInteger('Of an account elsewhere.')

const listed = {
  id: '0f8fad5b-d9cb-469f-a165-70867728950e',
  username: 'ada',
  email: 'ada@example.org',
  firstName: 'Ada',
  lastName: 'Lovelace',
  isActive: true,
  isStaff: false,
  isOtpEnabled: true,
  createdAt: '2026-11-23T09:00:00.000Z'
}

const listedProperties = {
  id: Type.String({ format: 'uuid' }),
  username: Type.String(),
  email: Type.String(),
  firstName: Type.String(),
  lastName: Type.String(),
  isActive: Type.Boolean({ description: 'True if the user may log in.' }),
  isStaff: Type.Boolean(),
  isOtpEnabled: Type.Boolean({ description: 'True if a device is confirmed.' }),
  createdAt: DateTime
}

export const UserPage = Type.Object({
  users: Type.Array(Type.Object(listedProperties, { title: 'ListedUser' })),
  nextCursor: NullableString('Where the next page begins; null if this was the last.')
}, { title: 'UserPage', description: 'Users, in the order of their names.', examples: [{ users: [listed], nextCursor: null }] })

export const ShownUser = Type.Object({
  ...listedProperties,
  emailVerifiedAt: Type.Unsafe<Date | null>({ ...NullableDateTime, description: 'Null while the address is not verified.' }),
  pendingEmail: NullableString('Address that replaces `email` once it is verified; null if there is none.'),
  emailStoppedAt: Type.Unsafe<Date | null>({
    ...NullableDateTime, description: 'Time at which the mail server refused the address; null if mails go to it.'
  }),
  passwordLinksStoppedAt: Type.Unsafe<Date | null>({
    ...NullableDateTime,
    description: 'Time at which the user undid a change of the address: until a log-in, no link for a new password is mailed. Else null.'
  }),
  mailsWaiting: Type.Integer({ description: 'Mails that wait for the mail server.' }),
  phone: Type.String(),
  powerAccountId: Reference,
  powerContactId: Reference,
  updatedAt: DateTime,
  failures: Type.Integer({ description: 'Wrong codes since the last accepted one; at 100 no code is taken any more.' }),
  lockedUntil: Type.Unsafe<Date | null>({
    ...NullableDateTime,
    description: 'Time until which no code of a device is accepted; null if codes are accepted.'
  }),
  isStopped: Type.Boolean({
    description: 'True if no code of an app is accepted, after 100 wrong ones in a row or 300 in 30 days, until a recovery code is ' +
      'used or staff unlock the account.'
  }),
  setupRequired: Type.Boolean({
    description: 'True if the second factor was reset and nothing is set up yet: the password alone opens nothing.'
  }),
  setupExpiresAt: Type.Unsafe<Date | null>({
    ...NullableDateTime, description: 'Time until which the set-up code is valid; null if the user has none, or it was used.'
  }),
  recoveryCodesLeft: Type.Integer()
}, {
  title: 'User',
  description: 'An account, as staff see it.',
  examples: [{
    ...listed,
    emailVerifiedAt: '2026-11-23T09:05:00.000Z',
    pendingEmail: null,
    emailStoppedAt: null,
    passwordLinksStoppedAt: null,
    mailsWaiting: 0,
    phone: '',
    powerAccountId: null,
    powerContactId: 4711,
    updatedAt: '2026-11-23T09:00:00.000Z',
    failures: 0,
    lockedUntil: null,
    isStopped: false,
    setupRequired: false,
    setupExpiresAt: null,
    recoveryCodesLeft: 5
  }]
})

const ListedSession = Type.Object({
  id: Type.String({ format: 'uuid' }),
  ip: Type.String({ description: 'Address from which it started.' }),
  agent: Type.String({ description: 'User agent of its browser or program.' }),
  startedAt: DateTime,
  lastSeenAt: DateTime,
  expiresAt: DateTime,
  isVerified: Type.Boolean({ description: 'True if it has given a code.' })
}, { title: 'UserSession' })

export const UserSessionList = Type.Array(ListedSession, {
  title: 'UserSessionList',
  description: 'Sessions that have not ended, the last seen first.',
  examples: [[{
    id: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    ip: '198.51.100.7',
    agent: 'Firefox on Linux',
    startedAt: '2026-11-23T09:00:00.000Z',
    lastSeenAt: '2026-11-23T09:25:00.000Z',
    expiresAt: '2026-12-23T09:00:00.000Z',
    isVerified: true
  }]]
})

export const EventPageWithActor = Type.Object({
  events: Type.Array(Type.Composite([SecurityEvent, Type.Object({
    actorId: NullableString('Actor, if not the owner: a member of staff, or `command line`.')
  })], { title: 'StaffSecurityEvent' })),
  nextCursor: NullableString('Where the next page begins; null if this was the last.')
}, {
  title: 'StaffEventPage',
  description: 'Security events of a user, the newest first.',
  examples: [{
    events: [{
      id: '8f14e45f-ceea-467f-a0e6-b1f1c6f2f0aa',
      kind: 'otp_reset',
      at: '2026-11-23T09:00:00.000Z',
      ip: '',
      agent: 'Unknown',
      sessionId: null,
      deviceName: null,
      detail: 'Lost the phone; came to the desk with a passport.',
      actorId: '16fd2706-8baf-433b-82eb-8c7fada847da'
    }],
    nextCursor: null
  }]
})

const reason = Line(longest.reason, { minLength: 1, description: 'Reason. The user reads it in the own security events.' })
export const Reason = Type.Object({ reason }, { ...strict, title: 'Reason', examples: [{ reason: 'Left the company.' }] })
export const OptionalReason = Type.Object(
  { reason: Type.Optional(reason) }, { ...strict, title: 'OptionalReason', examples: [{ reason: 'Came back.' }] }
)

/** An absent field stays; null removes it. */
const NewReference = Type.Optional(Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 1, maximum: 2_147_483_647 }))
export const References = Type.Object({ powerAccountId: NewReference, powerContactId: NewReference }, {
  ...strict, minProperties: 1, title: 'References', examples: [{ powerAccountId: 815, powerContactId: null }]
})

export const SetupCode = Type.Object({ setupCode: Type.String({ description: 'Shown now and never again.' }), expiresAt: DateTime }, {
  title: 'SetupCode',
  description: 'A one-time code to hand over in person.',
  examples: [{ setupCode: '7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', expiresAt: '2026-11-24T09:00:00.000Z' }]
})
