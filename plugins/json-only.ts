import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Accepts JSON in UTF-8 only: no form (which would open a host with cookies to forged requests), no byte order mark, no
 * `__proto__`, no compression. A missing body is read as `{}`, because clients send the header without a body and a body
 * without the header.
 */
async function jsonOnly (scope: FastifyInstance): Promise<void> {
  scope.removeAllContentTypeParsers()
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    if (request.headers['content-encoding'] !== undefined) {
      return done(new Refusal('MEDIA_TYPE_UNSUPPORTED', { hint: { key: 'bodyEncoded' } }))
    }
    let text: string
    try {
      text = utf8.decode(body as Buffer)
    } catch {
      return done(new Refusal('REQUEST_INVALID', { hint: { key: 'bodyNotUtf8' } }))
    }
    // The parser would drop the mark, so a proxy in front may have read another body.
    if (text.startsWith('\ufeff')) return done(new Refusal('REQUEST_INVALID', { hint: { key: 'bodyHasMark' } }))
    parse(request, text, (error, value) => {
      if (error === null) done(null, value)
      else done(new Refusal('REQUEST_INVALID', { hint: { key: 'bodyNotJson' } }, { cause: error }))
    })
  })
  scope.addHook('preValidation', (request, _reply, done) => {
    if (mayBeForged(request)) {
      return done(new Refusal('MEDIA_TYPE_UNSUPPORTED', { hint: { key: 'foreignPage' } }))
    }
    if (request.body === undefined) request.body = {}
    // A client that sends a body to an operation without one expects an effect that will not happen.
    const takesNone = request.routeOptions.schema?.body === undefined
    if (takesNone && !request.is404 && !isEmpty(request.body)) {
      return done(new Refusal('REQUEST_INVALID', { hint: { key: 'bodyUnexpected' } }))
    }
    done()
  })
}

/**
 * Returns true if a page of another origin may have sent the request with the user's cookies and without permission. A
 * browser sends a POST without a body at once, but asks first for JSON, for a token in a header and for any other method.
 */
function mayBeForged ({ method, headers, host }: FastifyRequest): boolean {
  if (method !== 'POST' || headers['content-type'] !== undefined || /^bearer /i.test(headers.authorization ?? '')) return false
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  // Browsers before 2023, and all without TLS, send only this header; programs send none.
  return headers.origin !== undefined && hostOf(headers.origin) !== host
}

function hostOf (origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}

function isEmpty (body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0
}

export default fp(jsonOnly, { name: 'json-only', fastify: '5.x' })
