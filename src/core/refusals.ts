import { PHISHING_RESISTANT } from './assurance.js'
import { en } from './messages/hints/en.js'
import { hintText, type Hint } from './messages/hints/hint.js'

/**
 * Every reason to refuse. Codes are API: never renamed, only added; messages may change.
 * Wrong, expired and already used are one code on purpose: the answer must not say which.
 */
export const refusals = {
  REQUEST_INVALID: [400, 'The request does not match the schema of this operation.'],
  OTP_INVALID: [400, 'The code is wrong, expired or already used.'],
  OTP_NOT_SET_UP: [400, 'The user has no second factor for this operation.'],
  PASSKEY_INVALID: [400, 'The passkey was not accepted. Ask for a new challenge and try again.'],
  RECOVERY_CODE_INVALID: [400, 'The recovery code is wrong or already used.'],
  LINK_INVALID: [400, 'The link is wrong, expired or already used. Ask for a new one.'],
  PASSWORD_UNACCEPTABLE: [400, 'Choose another password: not too short, not a common one, not the username.'],
  CREDENTIALS_INVALID: [401, 'Username or password is wrong.'],
  TOKEN_INVALID: [401, 'The token is missing, has expired, or is not one for this operation.'],
  SESSION_ENDED: [401, 'This session has ended. Log in again.'],
  OTP_REQUIRED: [403, 'Verify your second factor first.'],
  OTP_STALE: [403, 'Verify again: the last verification is too old for this operation.'],
  PHISHING_RESISTANT_REQUIRED: [403, 'Use a passkey first: other second factors do not count here.'],
  REAUTH_REQUIRED: [403, 'Give your password again.'],
  OTP_SETUP_REQUIRED: [403, 'Set up a second factor first. Until then this session has access to nothing else.'],
  SETUP_CODE_REQUIRED: [403, 'Your second factor was reset. Log in with the password and the set-up code from staff.'],
  STAFF_REQUIRED: [403, 'Only staff may do this.'],
  STAFF_PROTECTED: [403, 'Only the command line can reset a member of staff.'],
  NOT_YOURSELF: [403, 'Staff cannot do this to their own account.'],
  SIGN_UP_CLOSED: [403, 'Sign-up is closed.'],
  NOT_FOUND: [404, 'No such resource.'],
  METHOD_NOT_ALLOWED: [405, 'This path does not support the method.'],
  REQUEST_TIMEOUT: [408, 'The request took too long to arrive.'],
  USERNAME_TAKEN: [409, 'This username is taken.'],
  OTP_ALREADY_ENABLED: [409, 'The second factor is already enabled.'],
  OTP_DEVICE_LIMIT: [409, 'The user has the maximum number of devices.'],
  OAUTH_PROFILE_LIMIT: [409, 'The user has the maximum number of linked accounts.'],
  CONFLICT: [409, 'The account was changed by another request. Read it again, then retry.'],
  BODY_TOO_LARGE: [413, 'The body is larger than 16 KiB.'],
  MEDIA_TYPE_UNSUPPORTED: [415, 'Send a JSON body with Content-Type: application/json.'],
  OTP_LOCKED: [429, 'Too many wrong codes. Try again later, or use a recovery code.'],
  RATE_LIMITED: [429, 'Too many requests. Try again later.'],
  HEADERS_TOO_LARGE: [431, 'The headers are too large.'],
  INTERNAL_ERROR: [500, 'Internal error.'],
  UNAVAILABLE: [503, 'The service is not available now. Try again in a moment.'],
  BUSY: [503, 'Too many log-ins at this moment. Try again shortly.']
} as const satisfies Record<string, readonly [status: number, message: string]>

/** Code of a refusal: never renamed, only added. */
export type RefusalCode = keyof typeof refusals

/** Hints where the user has no method that would help. */
const withoutMethod: Partial<Record<RefusalCode, Hint>> = {
  OTP_REQUIRED: { key: 'setUpFirst' },
  PHISHING_RESISTANT_REQUIRED: { key: 'setUpPasskeyFirst' }
}

/** Returns the hint of a refusal; undefined if the sentence of its code says all. */
export function hintOf (code: RefusalCode, { hint, methods }: RefusalDetails): Hint | undefined {
  return hint ?? (methods?.length === 0 ? withoutMethod[code] : undefined)
}

/** Returns the English message of a refusal: its hint, or the sentence of its code. */
export function messageOf (code: RefusalCode, details: RefusalDetails): string {
  const hint = hintOf(code, details)
  return hint === undefined ? refusals[code][1] : hintText(hint, en)
}

/** Ways to verify a session. */
export const otpMethods = ['totp', 'passkey', 'recovery_code'] as const
/** Way to verify a session. */
export type OtpMethod = typeof otpMethods[number]

/** Why a password is unacceptable. */
export const passwordReasons = ['too_short', 'too_long', 'common', 'is_username', 'context_words', 'breached'] as const
export type PasswordReason = typeof passwordReasons[number]

/** Facts of a refusal beside its code. Which one has which: docs/errors.md. */
export interface RefusalDetails {
  /** On 429 and 503: seconds to wait before another try. */
  retryAfterSeconds?: number
  /** On OTP_LOCKED: true if waiting does not help, only a recovery code or staff. */
  needsRecovery?: true
  /** On OTP_STALE and PHISHING_RESISTANT_REQUIRED: greatest age of the proof in seconds (RFC 9470 `max_age`). */
  maxAgeSeconds?: number
  /** On OTP_REQUIRED and PHISHING_RESISTANT_REQUIRED: methods of the user that would help; empty if one must be set up first. */
  methods?: readonly OtpMethod[]
  /** On REQUEST_INVALID: field that is wrong, such as `name` or `response.id`; absent if the request as a whole is. */
  field?: string
  /** On PASSWORD_UNACCEPTABLE. */
  reason?: PasswordReason
  /** On OTP_INVALID: ISO time at which an app with steps of 30 s shows its next code. The same whatever was wrong. */
  nextCodeAt?: string
  /** Sentence that says how to correct the request, in place of that of the code; never an internal detail. */
  hint?: Hint
}

/** Recognises a refusal of another copy of this package, for which `instanceof` is false. */
const IS_REFUSAL = Symbol.for('countersign.refusal')

/**
 * Thrown by guards and flows. Fastify's own error handler turns it into `{ statusCode, code, error, message }`
 * and sends `headers`, so that a host app needs no handler of ours.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode
  readonly statusCode: number
  /** As `statusCode`: the name that Express, Koa and NestJS read. */
  readonly status: number
  /** True if `message` is for the client, in the sense of http-errors. */
  readonly expose: boolean
  readonly details: RefusalDetails
  readonly headers: Record<string, string>
  /** Code and details, which GraphQL servers add to an error of their answer. */
  readonly extensions: { code: RefusalCode } & Omit<RefusalDetails, 'hint'>

  constructor (code: RefusalCode, details: RefusalDetails = {}, options?: { cause: unknown }) {
    const [status] = refusals[code]
    // A refusal below 500 is an answer, not a fault, and needs no stack: the stack costs some 15 of the 100 µs of a refused request.
    // `Reflect`, because an assignment throws where the intrinsics are frozen.
    const { stackTraceLimit } = Error
    if (status < 500) Reflect.set(Error, 'stackTraceLimit', 0)
    super(messageOf(code, details), options)
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
    this.code = code
    this.statusCode = status
    this.status = status
    this.expose = status < 500
    this.details = status === 429 || status === 503 ? { retryAfterSeconds: 1, ...details } : details
    this.headers = headersOf(code, this.details)
    const { hint, ...facts } = this.details
    this.extensions = { code, ...facts }
  }

  get [IS_REFUSAL] (): true { return true }
}

/** Returns true for a refusal of Countersign, also for one of another copy of this package. */
export function isRefusal (error: unknown): error is Refusal {
  return error instanceof Error && IS_REFUSAL in error
}

/**
 * Returns the headers of a refusal. All have `x-refusal`, the code: gateways see no bodies. 401 has `Bearer` (RFC 6750 §3).
 * OTP_REQUIRED, OTP_STALE and PHISHING_RESISTANT_REQUIRED have RFC 9470's challenge, but as 403: clients read 401 as "refresh
 * the token", which would not help. 429 and 503 have `retry-after`.
 */
function headersOf (code: RefusalCode, { retryAfterSeconds, maxAgeSeconds }: RefusalDetails): Record<string, string> {
  const status = refusals[code][0]
  const headers: Record<string, string> = { 'x-refusal': code }
  if (code === 'OTP_REQUIRED' || code === 'OTP_STALE' || code === 'PHISHING_RESISTANT_REQUIRED') {
    const acr = code === 'PHISHING_RESISTANT_REQUIRED' ? `, acr_values="${PHISHING_RESISTANT}"` : ''
    const maxAge = maxAgeSeconds === undefined ? '' : `, max_age="${maxAgeSeconds}"`
    headers['www-authenticate'] = `Bearer error="insufficient_user_authentication"${acr}${maxAge}`
  } else if (status === 401) {
    headers['www-authenticate'] = code === 'CREDENTIALS_INVALID' ? 'Bearer' : 'Bearer error="invalid_token"'
  } else if (status === 429 || status === 503) {
    headers['retry-after'] = String(retryAfterSeconds)
  }
  return headers
}

/**
 * SESSION_ENDED, with the session. An operation that replaces its own session uses it to find out whether an earlier copy of
 * the same request did so.
 */
export class SessionEnded extends Refusal {
  readonly #session: { userId: string, sessionId: string }

  constructor ({ userId, sessionId }: { userId: string, sessionId: string }) {
    super('SESSION_ENDED')
    this.#session = { userId, sessionId }
  }

  /** A getter, not an own property, so that a log of the refusal contains no session id. */
  get session (): { userId: string, sessionId: string } { return this.#session }
}
