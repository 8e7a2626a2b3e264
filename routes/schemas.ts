import { STATUS_CODES } from 'node:http'
import { Type, type TSchema } from '@sinclair/typebox'
import { PASSWORD_MAX_LENGTH } from '../src/core/passwords.js'
import { newName } from '../src/core/normal-forms.js'
import { Refusal, refusals, type RefusalCode } from '../src/core/refusals.js'
import { EMAIL, LINE, longest, LONGEST_TYPED_CODE } from '../src/core/texts.js'

/** Refuses unknown fields, because a misspelt field would otherwise have no effect. */
export const strict = { additionalProperties: false } as const

/** The host defines the answer for its clients. */
export const AnyAnswer = Type.Object({}, { additionalProperties: true, description: 'Answer of the host.' })

export const TokenPair = Type.Object({
  access: Type.String({ description: 'Access token (JWT, `at+jwt`). Goes into `Authorization: Bearer`.' }),
  refresh: Type.String({ description: 'Refresh token (JWT, `rt+jwt`), for `POST /token/refresh` alone. Used once.' })
}, { examples: [{ access: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9…', refresh: 'eyJhbGciOiJIUzI1NiIsInR5cCI6InJ0K2p3dCJ9…' }] })

export const Message = Type.Object({ message: Type.String() }, { examples: [{ message: 'Done.' }] })

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
  throw new Refusal('REQUEST_INVALID', { hint: `${field} must be one line of 1 to ${longestName} characters that can be seen` })
}

/** Returns the names of a person in their stored form. They may be empty. */
export function requirePersonalNames<Given extends { firstName?: string, lastName?: string }> (given: Given): Given {
  const kept = (field: 'firstName' | 'lastName') => {
    const text = given[field]
    return text === undefined || text === '' ? {} : { [field]: text.trim() === '' ? '' : requireName(field, text, longest[field]) }
  }
  return { ...given, ...kept('firstName'), ...kept('lastName') }
}

/** Accepts any character, because it is only hashed. Halves of surrogate pairs are refused: all of them would hash alike. */
export const Password = (options: { description?: string } = {}) =>
  Type.String({ ...options, minLength: 1, maxLength: PASSWORD_MAX_LENGTH, pattern: '^\\P{Cs}*$' })

export const Email = Type.String({ minLength: 3, maxLength: longest.email, pattern: EMAIL })

/** Id of a row in a path. The id of another user's row is answered as not found. */
export const Id = Type.Object({ id: Type.String({ format: 'uuid', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }) })

/** A date and time as `2026-11-23T09:00:00.000Z`. */
export const DateTime = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
export const NullableDateTime = Type.Unsafe<Date | null>({ type: ['string', 'null'], format: 'date-time' })

/** Refusals of every operation, besides its own. */
const always: RefusalCode[] = ['REQUEST_INVALID', 'RATE_LIMITED', 'INTERNAL_ERROR', 'UNAVAILABLE']
const withBody: RefusalCode[] = ['BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED', 'REQUEST_TIMEOUT']
export const needsSession: RefusalCode[] = ['TOKEN_INVALID', 'SESSION_ENDED']
export const needsVerified: RefusalCode[] = [...needsSession, 'OTP_REQUIRED', 'OTP_SETUP_REQUIRED']
export const needsFresh: RefusalCode[] = [...needsVerified, 'OTP_STALE']

/** Returns the error responses of an operation, by status, for its codes. */
export function refused (codes: RefusalCode[], { body = false } = {}): Record<number, TSchema> {
  const all = [...new Set([...codes, ...always, ...(body ? withBody : [])])]
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of all) {
    const status = refusals[code][0]
    byStatus.set(status, [...byStatus.get(status) ?? [], code])
  }
  return Object.fromEntries([...byStatus].map(([status, of]) => [status, errorSchema(status, of)]))
}

const needsRecovery = 'On `OTP_LOCKED`: true where no wait helps, only a recovery code or staff.'

function errorSchema (status: number, codes: RefusalCode[]): TSchema {
  const [first] = codes
  return Type.Object({
    statusCode: Type.Integer(),
    code: Type.Unsafe<RefusalCode>({ type: 'string', enum: codes }),
    error: Type.String(),
    message: Type.String(),
    ...(status === 429 || status === 503 ? { retryAfterSeconds: Type.Optional(Type.Integer()) } : {}),
    ...(codes.includes('OTP_LOCKED') ? { needsRecovery: Type.Optional(Type.Boolean({ description: needsRecovery })) } : {}),
    ...(status === 403 ? { maxAgeSeconds: Type.Optional(Type.Integer()) } : {})
  }, {
    description: codes.map((code) => `\`${code}\`: ${refusals[code][1]}`).join(' '),
    examples: [{ statusCode: status, code: first, error: STATUS_CODES[status], message: refusals[first!][1] }]
  })
}

/** Security requirements of an operation, by the document's schemes. */
export type Security = ReadonlyArray<Record<string, readonly string[]>>

/** Security of operations that need an access token. */
export const bearer = [{ bearer: [] as string[] }]
