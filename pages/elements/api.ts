import type { OtpMethod, RefusalCode } from '../../src/core/refusals.js'
import type { Authorize } from './types.js'

/** Longer than the service takes for any answer. */
export const ANSWER_MS = 15_000

/** Details of a refusal, as in its body. */
export interface Details {
  message?: string
  retryAfterSeconds?: number
  needsRecovery?: boolean
  maxAgeSeconds?: number
  methods?: readonly OtpMethod[]
  nextCodeAt?: string
  reason?: string
  field?: string
}

/** A request that was refused, or that got no answer (`UNREACHABLE`). */
export class ApiError extends Error {
  readonly code: RefusalCode | 'UNREACHABLE'
  readonly details: Details

  constructor (code: RefusalCode | 'UNREACHABLE', details: Details = {}) {
    super(details.message ?? code)
    this.code = code
    this.details = details
  }
}

export interface Call { method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, body?: object }

interface Caller { lang: string, authorize?: Authorize | undefined }

/**
 * Calls an operation and returns its JSON, null if it has none.
 *
 * @throws {ApiError}
 */
export async function callApi<Answer> (call: Call, caller: Caller): Promise<Answer> {
  const first = await send<Answer>(call, caller, false)
  // The clock of this computer, or its sleep, may have hidden that the token ended. Nothing was done with it.
  const isOver = first instanceof ApiError && first.code === 'TOKEN_INVALID' && caller.authorize !== undefined
  const answer = isOver ? await send<Answer>(call, caller, true) : first
  if (answer instanceof ApiError) throw answer
  return answer
}

async function send<Answer> ({ method, url, body }: Call, { lang, authorize }: Caller, isRetry: boolean): Promise<Answer | ApiError> {
  const plain = new Request(new URL(url, document.baseURI), {
    method,
    cache: 'no-store',
    headers: {
      accept: 'application/json',
      'accept-language': lang,
      // A host with cookies refuses a POST without it: a form of another page could send one.
      ...(method === 'GET' ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const request = await authorize?.(plain, isRetry) ?? plain
  const response = await fetch(request, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => { throw new ApiError('UNREACHABLE') })
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => undefined)
  // An answer that broke off, or that a network on the way wrote.
  if (response.ok && answer === undefined) throw new ApiError('UNREACHABLE')
  return response.ok ? answer as Answer : errorOf(response, answer)
}

/** Returns the error of an answer that is none of 2xx. @param answer JSON of its body, undefined if it has none */
export function errorOf (response: Response, answer: unknown): ApiError {
  return new ApiError(codeOf(response, answer), detailsOf(response, answer))
}

/** Codes of answers that name none: those of a proxy, or of the host's own hooks, such as a limit for each address. */
const standIns: Record<number, RefusalCode> = {
  400: 'REQUEST_INVALID',
  401: 'TOKEN_INVALID',
  404: 'NOT_FOUND',
  413: 'REQUEST_INVALID',
  415: 'REQUEST_INVALID',
  422: 'REQUEST_INVALID',
  429: 'RATE_LIMITED'
}

/** The header comes first: error handlers of hosts may write other bodies. */
function codeOf ({ headers, status }: Response, answer: unknown): RefusalCode | 'UNREACHABLE' {
  const code = headers.get('x-refusal') ?? (answer as { code?: unknown } | null)?.code
  if (typeof code === 'string') return code as RefusalCode
  return standIns[status] ?? 'UNREACHABLE'
}

/** The header of a wait stands in for that of a body that is not ours. */
function detailsOf ({ headers }: Response, answer: unknown): Details {
  const details: Details = typeof answer === 'object' ? { ...answer } : {}
  const wait = headers.get('retry-after') ?? ''
  return typeof details.retryAfterSeconds !== 'number' && /^\d{1,9}$/.test(wait) ? { ...details, retryAfterSeconds: Number(wait) } : details
}
