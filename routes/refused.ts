import { STATUS_CODES } from 'node:http'
import { Type, type TProperties, type TSchema } from '@sinclair/typebox'
import { passwordReasons, refusals, type OtpMethod, type PasswordReason, type RefusalCode } from '../src/core/refusals.js'
import { Method } from './schemas.js'

/** Refusals that any operation may answer besides its own: the `default` response of each. */
const common: RefusalCode[] = [
  'METHOD_NOT_ALLOWED', 'REQUEST_TIMEOUT', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED', 'RATE_LIMITED', 'HEADERS_TOO_LARGE',
  'INTERNAL_ERROR', 'UNAVAILABLE'
]
export const needsSession: RefusalCode[] = ['TOKEN_INVALID', 'SESSION_ENDED']
export const needsVerified: RefusalCode[] = [...needsSession, 'OTP_REQUIRED', 'OTP_SETUP_REQUIRED']
export const needsFresh: RefusalCode[] = [...needsVerified, 'OTP_STALE']

/** Codes that come together. The longest group that fits gives a shared response its name. */
const groups: ReadonlyArray<readonly [name: string, codes: readonly RefusalCode[]]> = [
  ['NeedsSession', needsSession],
  ['NeedsFreshStaff', ['OTP_REQUIRED', 'OTP_SETUP_REQUIRED', 'OTP_STALE', 'STAFF_REQUIRED', 'NOT_YOURSELF']],
  ['NeedsStaff', ['OTP_REQUIRED', 'OTP_SETUP_REQUIRED', 'STAFF_REQUIRED']],
  ['NeedsFresh', ['OTP_REQUIRED', 'OTP_SETUP_REQUIRED', 'OTP_STALE']],
  ['NeedsVerified', ['OTP_REQUIRED', 'OTP_SETUP_REQUIRED']]
]

const retryAfterSeconds = Type.Integer({ description: 'Seconds to wait before another try.', examples: [1] })

const methods = (description: string, example: OtpMethod[]) => Type.Array(Method, { description, examples: [example] })

const requestId = Type.String({ title: 'RequestId', description: 'Id of the request in the log of the service; also in `X-Request-Id`.' })

/** Fields of a refusal beside those of every refusal. The example of each required one stands in the example of the code. */
const details: Partial<Record<RefusalCode, TProperties>> = {
  REQUEST_INVALID: {
    field: Type.Optional(Type.String({ description: 'Field that is wrong; absent if the request as a whole is.' }))
  },
  PASSWORD_UNACCEPTABLE: {
    reason: Type.Unsafe<PasswordReason>({
      type: 'string', enum: [...passwordReasons], description: 'The list is open.', examples: ['common']
    })
  },
  OTP_INVALID: {
    nextCodeAt: Type.String({
      format: 'date-time',
      description: 'When an app with steps of 30 s shows its next code. The same whatever is wrong with the code.',
      examples: ['2026-11-23T09:00:30.000Z']
    })
  },
  OTP_STALE: { maxAgeSeconds: Type.Integer({ description: 'Greatest age of the proof.', examples: [300] }) },
  OTP_REQUIRED: {
    methods: methods('Methods with which the user can verify; empty if one must be set up first.', ['totp', 'recovery_code'])
  },
  PHISHING_RESISTANT_REQUIRED: {
    maxAgeSeconds: Type.Optional(Type.Integer({ description: 'Greatest age of the use of a passkey.' })),
    methods: methods('`passkey`; empty if one must be set up first.', ['passkey'])
  },
  OTP_LOCKED: {
    needsRecovery: Type.Optional(Type.Unsafe<true>({
      type: 'boolean', enum: [true], description: 'No wait helps, only a recovery code or staff.'
    }))
  }
}

const detailsOf = (code: RefusalCode): TProperties => {
  const [status] = refusals[code]
  return { ...(status === 429 || status === 503 ? { retryAfterSeconds } : {}), ...details[code] }
}

/** Returns the name of a code's schema: `OtpInvalid` for `OTP_INVALID`. */
const nameOf = (code: RefusalCode): string => code.split('_').map((word) => word[0]! + word.slice(1).toLowerCase()).join('')

/** Fields of the refusal with this code. */
export function refusalProperties (code: RefusalCode) {
  return {
    statusCode: Type.Unsafe<number>({ type: 'integer', enum: [refusals[code][0]] }),
    code: Type.Unsafe<RefusalCode>({ type: 'string', enum: [code] }),
    error: Type.String(),
    message: Type.String(),
    requestId: Type.Optional(requestId),
    ...detailsOf(code)
  }
}

/** Returns an example of the refusal with this code. */
export function refusalExample (code: RefusalCode): Record<string, unknown> {
  const [statusCode, message] = refusals[code]
  const required = Object.entries(detailsOf(code)).filter(([, schema]) => schema['examples'] !== undefined)
  return {
    statusCode,
    code,
    error: STATUS_CODES[statusCode],
    message,
    ...Object.fromEntries(required.map(([name, schema]) => [name, (schema['examples'] as unknown[])[0]]))
  }
}

const refusalSchemas = new Map((Object.keys(refusals) as RefusalCode[]).map((code) => [code, withoutExamples(code)]))

/** The example of a code is in `components.examples`, so the fields have none of their own. */
function withoutExamples (code: RefusalCode): TSchema {
  const properties = Object.entries(refusalProperties(code)).map(([name, { examples, ...schema }]) => [name, schema])
  return Type.Object(Object.fromEntries(properties) as TProperties, { title: nameOf(code) })
}

/** Every refusal, told apart by `code`. */
export const AnyRefusal = Type.Unsafe({
  title: 'Refusal',
  description: 'Any refusal. Decide by `code`; the list is open: codes are added, so treat an unknown one by its status.',
  oneOf: [...refusalSchemas.values()],
  discriminator: {
    propertyName: 'code',
    mapping: Object.fromEntries([...refusalSchemas].map(([code, { title }]) => [code, `#/components/schemas/${title}`]))
  }
})

/** Returns the error responses of an operation with these codes, by status; `default` has those of every operation. */
export function refused (codes: RefusalCode[]): Record<number | 'default', TSchema> {
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of new Set<RefusalCode>([...codes, 'REQUEST_INVALID'])) {
    const status = refusals[code][0]
    byStatus.set(status, [...byStatus.get(status) ?? common.filter((one) => refusals[one][0] === status), code])
  }
  const own = [...byStatus].map(([status, of]) => [status, responseOf(of, responseName(of), headersOf(of))])
  return { ...Object.fromEntries(own) as Record<number, TSchema>, default: anyOperation }
}

/**
 * Returns the response for these codes. `x-response` is its name in `components.responses`; `headers` and `x-examples` are
 * those of @fastify/swagger.
 */
function responseOf (codes: readonly RefusalCode[], name: string, headers: Record<string, object>): TSchema {
  const shown = codes.map((code) => refusalSchemas.get(code)!)
  return Type.Unsafe({
    ...(shown.length === 1 ? { allOf: shown } : { oneOf: shown }),
    description: 'Refused.',
    'x-response': name,
    'x-examples': Object.fromEntries(codes.map((code) => [code, { value: refusalExample(code) }])),
    headers
  })
}

function responseName (codes: readonly RefusalCode[]): string {
  let rest = codes.filter((code) => code !== 'REQUEST_INVALID' && !common.includes(code))
  if (rest.length === 0) return codes.map(nameOf).join('Or')
  const names: string[] = []
  for (const [name, group] of groups) {
    if (!group.every((code) => rest.includes(code))) continue
    names.push(name)
    rest = rest.filter((code) => !group.includes(code))
  }
  return [...names, ...rest.map(nameOf).sort()].join('Or')
}

const text = (description: string) => ({ type: 'string', description })
const challenge = text('RFC 6750 or 9470.')
const retryAfter = { type: 'integer', description: 'As `retryAfterSeconds`, on 429 and 503.' }
const refusal = { 'X-Refusal': text('The `code`, for gateways that see no bodies.') }

function headersOf (codes: readonly RefusalCode[]): Record<string, object> {
  const statuses = codes.map((code) => refusals[code][0])
  return {
    ...refusal,
    ...(statuses.includes(401) || codes.includes('OTP_REQUIRED') ? { 'WWW-Authenticate': challenge } : {}),
    ...(statuses.includes(429) || statuses.includes(503) ? { 'Retry-After': retryAfter } : {})
  }
}

const anyOperation = responseOf(common, 'AnyOperation', {
  ...refusal, 'Retry-After': retryAfter, Allow: text('On 405: the methods of this path.')
})

/** Returns an example of each refusal, by its code, as `components.examples` has it. */
export function refusalExamples (): Record<string, { value: object }> {
  return Object.fromEntries((Object.keys(refusals) as RefusalCode[]).map((code) => [code, { value: refusalExample(code) }]))
}
