import { Type } from '@sinclair/typebox'
import { PASSWORD_MAX_LENGTH } from '../src/core/passwords/passwords.js'
import { newName } from '../src/core/normal-forms.js'
import { otpMethods, Refusal, type OtpMethod } from '../src/core/refusals.js'
import { EMAIL, LINE, longest, LONGEST_TYPED_CODE, WHOLE } from '../src/core/texts.js'

/** Refuses unknown fields, because a misspelt field would otherwise have no effect. */
export const strict = { additionalProperties: false } as const

/** The host defines the answer for its clients. */
export const AnyAnswer = Type.Object({}, { additionalProperties: true, title: 'HostAnswer', description: 'Answer of the host.' })

export const Message = Type.Object({ message: Type.String() }, {
  title: 'Message', description: 'It is done.', examples: [{ message: 'Done.' }]
})

export const Phone = Type.String({ title: 'Phone', maxLength: longest.phone, pattern: LINE })

export const Line = (maxLength: number, options: { minLength?: number, description?: string } = {}) =>
  Type.String({ ...options, maxLength, pattern: LINE })

/** Number of typed characters that can form one composed character. */
const MOST_COMPOSED = 4

/**
 * Schema of a name. It is brought into normal form (`src/core/normal-forms.ts`) before its limits are checked, so the
 * schema checks only its length.
 *
 * @param longestName in characters of the normal form
 */
export const Name = (longestName: number, options: { minLength?: number, description?: string } = {}) =>
  Type.String({ ...options, maxLength: MOST_COMPOSED * longestName })

/** Schema of a code in any typed or copied form. */
export const TypedCode = (description: string, options: { minLength?: number } = {}) =>
  Type.String({ ...options, maxLength: LONGEST_TYPED_CODE, description })

/**
 * Returns a new name in its stored form.
 *
 * @throws {Refusal} REQUEST_INVALID
 */
export function requireName (field: string, text: string, longestName: number): string {
  const name = newName(text, longestName)
  if (name !== null) return name
  throw new Refusal('REQUEST_INVALID', { field, hint: { key: 'oneLine', values: { subject: field, limit: longestName } } })
}

/** Returns the refusal of a `cursor` that no page has given. */
export const cursorUnknown = (): Refusal =>
  new Refusal('REQUEST_INVALID', { field: 'cursor', hint: { key: 'cursorUnknown' } })

/** Returns the names of a person in their stored form. They may be empty. */
export function requirePersonalNames<Given extends { firstName?: string, lastName?: string }> (given: Given): Given {
  const kept = (field: 'firstName' | 'lastName') => {
    const text = given[field]
    return text === undefined || text === '' ? {} : { [field]: text.trim() === '' ? '' : requireName(field, text, longest[field]) }
  }
  return { ...given, ...kept('firstName'), ...kept('lastName') }
}

/** Accepts any character, because it is only hashed. Halves of surrogate pairs are refused: all of them would hash alike. */
export const Password = Type.String({ title: 'Password', minLength: 1, maxLength: PASSWORD_MAX_LENGTH, pattern: WHOLE })
export const NewPassword = Type.String({
  title: 'NewPassword',
  description: 'At least `PASSWORD_MIN_LENGTH` characters, any characters, not a common one, not the username, ' +
    'not only names of the user or the service, and not one of `BREACHED_PASSWORDS_URL`.',
  minLength: 1,
  maxLength: PASSWORD_MAX_LENGTH,
  pattern: WHOLE
})

export const Email = Type.String({ title: 'Email', minLength: 3, maxLength: longest.email, pattern: EMAIL })

/** Id of a row in a path, in either case. The id of another user's row is answered as not found. */
export const Uuid = Type.String({ title: 'Id', format: 'uuid', pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' })
export const Id = Type.Object({ id: Uuid })

/** Ways to verify a session. */
export const Method = Type.Unsafe<OtpMethod>({
  title: 'OtpMethod', type: 'string', enum: [...otpMethods], description: 'Way to verify a session. The list is open.'
})
export const Methods = Type.Array(Method, { description: 'Methods with which the user can verify; empty without a second factor.' })

/** A date and time as `2026-11-23T09:00:00.000Z`. */
export const DateTime = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
export const NullableDateTime = Type.Unsafe<Date | null>({ type: ['string', 'null'], format: 'date-time' })

export const NullableString = (description: string) => Type.Unsafe<string | null>({ type: ['string', 'null'], description })
export const NullableInteger = (description: string) => Type.Unsafe<number | null>({ type: ['integer', 'null'], description })

/** Answer of every operation that brings tokens. */
export const TokenPair = Type.Object({
  access: Type.String({ description: 'Access token (JWT, `at+jwt`). Goes into `Authorization: Bearer`.' }),
  refresh: Type.String({ description: 'Refresh token (JWT, `rt+jwt`), for `POST /token/refresh` alone. Used once.' }),
  expiresIn: Type.Integer({ description: 'Lifetime of the access token in seconds, from its `iat`.' }),
  otpRequired: Type.Boolean({ description: 'True if the session must be verified before it opens anything else.' }),
  otpMethods: Methods,
  otpExpiresAt: Type.Unsafe<Date | null>({
    ...NullableDateTime, description: 'When the session ends unless it is verified; null if `otpRequired` is false.'
  })
}, {
  title: 'TokenPair',
  description: 'Tokens of the session. They replace earlier ones, both at once.',
  examples: [{
    access: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9…',
    refresh: 'eyJhbGciOiJIUzI1NiIsInR5cCI6InJ0K2p3dCJ9…',
    expiresIn: 300,
    otpRequired: false,
    otpMethods: ['totp', 'recovery_code'],
    otpExpiresAt: null
  }]
})

/** Security requirements of an operation, by the document's schemes. */
export type Security = ReadonlyArray<Record<string, readonly string[]>>

/** Security of operations that everybody may call. The others have that of the whole document: an access token. */
export const open: Security = []
