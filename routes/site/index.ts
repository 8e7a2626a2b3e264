import { createHash } from 'node:crypto'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { Refusal } from '../../src/core/refusals.js'
import type { Language } from '../../src/core/notices/texts.js'
import { acceptedLanguage } from '../users/language.js'
import { encodings, readAssets, type Assets, type Encoding } from './assets.js'
import { documentOf, pageHeaders, rootOf, type PageFacts } from './document.js'
import { varyBy } from './vary.js'

export interface SiteRoutesOptions extends PageFacts {
  /** Reads the files of the pages. @default readAssets */
  read?: () => Promise<Assets>
}

const YEAR_SECONDS = 31_536_000

/** Pages for people: `/`, `/me`, `/staff`. They answer 200 without a session, and call the public API alone. */
const siteRoutes: FastifyPluginAsync<SiteRoutesOptions> = async (app, { read = readAssets, ...facts }) => {
  /** Read at the first request: most processes serve an API, and start without them. */
  let assets: Promise<Assets> | undefined

  /** A reading that failed, without a free file descriptor say, is made again. */
  async function load (): Promise<Assets> {
    assets ??= read().catch((error: unknown) => {
      assets = undefined
      throw error
    })
    return await assets
  }

  for (const path of ['/', '/me', '/staff']) {
    app.get(path, { schema: { hide: true } }, async (request, reply) => {
      const language: Language = acceptedLanguage(request) ?? 'en'
      const text = documentOf(facts, await load(), language, rootOf(request))
      const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
      reply.headers(pageHeaders).header('etag', etag)
      varyBy(reply, 'accept-language')
      if (request.headers['if-none-match']?.includes(etag) === true) return await reply.code(304).send()
      return await reply.type('text/html; charset=utf-8').send(text)
    })
  }

  app.get<{ Params: { name: string } }>('/assets/:name', { schema: { hide: true } }, async (request, reply) => {
    const { name } = request.params
    const asset = (await load()).find(name)
    if (asset === undefined) throw new Refusal('NOT_FOUND')
    const encoding = encodingFor(request)
    // Other bytes, so another tag (RFC 9110, 8.8.3.3).
    const etag = `"${name}${encoding === undefined ? '' : `-${encoding}`}"`
    reply.headers({ 'cache-control': `public, max-age=${YEAR_SECONDS}, immutable`, etag })
    varyBy(reply, 'accept-encoding')
    if (request.headers['if-none-match']?.includes(etag) === true) return await reply.code(304).send()
    reply.type(asset.type)
    if (encoding === undefined) return await reply.send(asset.content)
    return await reply.header('content-encoding', encoding).send(asset.encoded[encoding])
  })
}

/** Returns the best encoding that the client takes; undefined for none. */
function encodingFor (request: FastifyRequest): Encoding | undefined {
  const wanted = new Negotiator(request.raw).encodings([...encodings, 'identity'])
  return encodings.find((one) => wanted.includes(one))
}

export default siteRoutes
