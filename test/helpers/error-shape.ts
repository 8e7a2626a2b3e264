import { STATUS_CODES } from 'node:http'
import { refusals, type RefusalCode } from '../../src/core/refusals.js'

const FIELDS = [
  'statusCode', 'code', 'error', 'message', 'retryAfterSeconds', 'maxAgeSeconds', 'needsRecovery', 'methods', 'field', 'reason',
  'nextCodeAt', 'requestId'
]
/** Internal details that no answer may contain: statements, files, libraries, messages of the stores. */
const INSIDE = new RegExp([
  /node_modules|\.js\b|FST_|ERR_|ECONN|SQLSTATE|\bselect\b|\binsert\b|postgres:|pglite|kysely|fastify|ajv/,
  /127\.0\.0\.1:|byte sequence|HPE_/
].map(({ source }) => source).join('|'), 'i')

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

interface Answer { statusCode: number, headers: Record<string, unknown>, body: string }

/** Returns the faults of a refusal: a wrong shape, an unknown code, internal text, a missing header. Empty if it is correct. */
export function faultsOfRefusal ({ statusCode, headers, body }: Answer): string[] {
  const faults: string[] = []
  const say = (isFault: boolean, fault: string) => { if (isFault) faults.push(fault) }
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(body)
  } catch {
    return [`not JSON: ${statusCode} ${body.slice(0, 200)}`]
  }
  const { code } = parsed as { code: RefusalCode }
  say(statusCode < 400 || statusCode > 599, `status ${statusCode}`)
  say(parsed['statusCode'] !== statusCode, `statusCode ${String(parsed['statusCode'])} under status ${statusCode}`)
  say(refusals[code]?.[0] !== statusCode, `code ${code} is not one of ${statusCode}`)
  say(parsed['error'] !== STATUS_CODES[statusCode], `error ${String(parsed['error'])}`)
  say(typeof parsed['message'] !== 'string' || parsed['message'] === '', 'no message')
  for (const field of Object.keys(parsed)) say(!FIELDS.includes(field), `unknown field ${field}`)
  say(headers['x-refusal'] !== code, `X-Refusal ${String(headers['x-refusal'])}`)
  say(!UUID.test(String(parsed['requestId'])), 'no requestId')
  say(headers['x-request-id'] !== parsed['requestId'], 'another X-Request-Id')
  say(INSIDE.test(body), `tells of the inside: ${body}`)
  say(!/^application\/json/.test(String(headers['content-type'])), `content-type ${String(headers['content-type'])}`)
  say(headers['x-content-type-options'] !== 'nosniff', 'no nosniff')
  say(headers['cache-control'] !== 'no-store', `cache-control ${String(headers['cache-control'])}`)
  say('server' in headers || 'x-powered-by' in headers, 'names the server')
  say(statusCode === 401 && !String(headers['www-authenticate']).startsWith('Bearer'), 'no challenge')
  say((statusCode === 429 || statusCode === 503) && !/^[1-9][0-9]*$/.test(String(headers['retry-after'])), 'no Retry-After')
  say(statusCode === 405 && String(headers['allow'] ?? '') === '', 'no Allow')
  return faults
}
