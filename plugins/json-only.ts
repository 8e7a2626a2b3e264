import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Bodies are JSON in UTF-8 and nothing else: no form (so that a host on cookies is not open to forged requests), no
 * byte order mark, no `__proto__`, nothing compressed. No body at all reads as `{}`: clients send the header without one,
 * and one without the other.
 */
async function jsonOnly (scope: FastifyInstance): Promise<void> {
  scope.removeAllContentTypeParsers()
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    if (request.headers['content-encoding'] !== undefined) {
      return done(new Refusal('MEDIA_TYPE_UNSUPPORTED', { hint: 'Bodies are sent as they are, without Content-Encoding.' }))
    }
    let text: string
    try {
      text = utf8.decode(body as Buffer)
    } catch {
      return done(new Refusal('REQUEST_INVALID', { hint: 'The body is not UTF-8.' }))
    }
    // The parser would drop it: what a proxy in front has read may then be another body.
    if (text.startsWith('\ufeff')) return done(new Refusal('REQUEST_INVALID', { hint: 'The body begins with a byte order mark.' }))
    parse(request, text, (error, value) => {
      if (error === null) done(null, value)
      else done(new Refusal('REQUEST_INVALID', { hint: 'The body is not JSON.' }, { cause: error }))
    })
  })
  scope.addHook('preValidation', (request, _reply, done) => {
    if (mayBeForged(request)) {
      return done(new Refusal('MEDIA_TYPE_UNSUPPORTED', {
        hint: 'From a page of another origin send Content-Type: application/json, also without a body.'
      }))
    }
    if (request.body === undefined) request.body = {}
    // Whoever sends something to an operation that takes nothing means something else than will happen.
    const takesNone = request.routeOptions.schema?.body === undefined
    if (takesNone && !request.is404 && !isEmpty(request.body)) {
      return done(new Refusal('REQUEST_INVALID', { hint: 'This operation takes no body.' }))
    }
    done()
  })
}

/**
 * Whether a page of another origin may have sent it with the user's cookies and without leave: a browser sends a POST
 * without a body right away, while it asks first for JSON, for a token in a header, and for any other method.
 */
function mayBeForged ({ method, headers, host }: FastifyRequest): boolean {
  if (method !== 'POST' || headers['content-type'] !== undefined || /^bearer /i.test(headers.authorization ?? '')) return false
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  // Browsers of before 2023, and any without TLS, say only this; programs say nothing.
  return headers.origin !== undefined && hostOf(headers.origin) !== host
}

function hostOf (origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}

function isEmpty (body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0
}

export default fp(jsonOnly, { name: 'json-only', fastify: '5.x' })
