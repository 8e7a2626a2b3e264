/** The guards for Next.js and NestJS without the frameworks, which `npm run hosts` runs. */
import t from 'tap'
import { Refusal, type AccessClaims, type Demand } from '../../src/client/index.js'
import { guards } from '../../src/client/nest.js'
import { guard, guardPages } from '../../src/client/next.js'

const claims = { sub: 'ada' } as AccessClaims
const asked: unknown[] = []
const client = {
  async verify (token?: string, demand?: Demand, from?: string) {
    asked.push([token, demand, from])
    if (token === 'broken') throw new TypeError('a fault')
    if (token !== 'good') throw new Refusal('OTP_STALE', { maxAgeSeconds: 300 })
    return claims
  }
}
const demand = { maxAge: 300 }
const requestOf = (token: string) =>
  new Request('http://x/invoices', { headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': '192.0.2.1' } })

t.test('a route handler of Next.js gets the claims, and is not called for a refusal', async (t) => {
  const seen: unknown[] = []
  const handler = guard(() => client, (_request, context: object, { sub }) => {
    seen.push(context, sub)
    return new Response('invoices')
  }, demand)
  const context = {}
  t.equal(await (await handler(requestOf('good'), context)).text(), 'invoices')
  t.strictSame(asked.pop(), ['good', demand, '192.0.2.1'])
  const refused = await handler(requestOf('stale'), context)
  t.strictSame([refused.status, refused.headers.get('x-refusal')], [403, 'OTP_STALE'])
  t.match(await refused.json(), { code: 'OTP_STALE', maxAgeSeconds: 300 })
  await t.rejects(handler(requestOf('broken'), context), TypeError)
  t.strictSame(seen, [context, 'ada'])
})

t.test('a page of Next.js behind the guard is stored by no cache', async (t) => {
  const proxy = guardPages(() => client, () => new Response(null, { headers: { 'x-middleware-next': '1', 'cache-control': 's-maxage=9' } }))
  const passed = await proxy(requestOf('good'))
  t.strictSame([passed.headers.get('x-middleware-next'), passed.headers.get('cache-control')], ['1', 'private, no-store'])
  const refused = await proxy(requestOf('stale'))
  t.strictSame([refused.status, refused.headers.get('x-middleware-next'), refused.headers.get('cache-control')], [403, null, 'no-store'])
  await t.rejects(proxy(requestOf('broken')), TypeError)
})

t.test('a guard class of NestJS throws a refusal as the exception of Nest, with our headers', async (t) => {
  class HttpException extends Error {
    readonly given: unknown[]
    constructor (...given: unknown[]) {
      super()
      this.given = given
    }
  }
  const Guard = guards(client, HttpException)
  t.not(Guard(), Guard(), 'each is a class of its own')
  const at = (token: string) => {
    const headers: Record<string, string> = {}
    const request = { headers: { authorization: `Bearer ${token}` }, socket: { remoteAddress: '192.0.2.2' } }
    const response = { header: (name: string, value: string) => { headers[name] = value } }
    const context = { switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }) }
    return { request, headers, answer: new (Guard(demand))().canActivate(context) }
  }
  const good = at('good')
  t.equal(await good.answer, true)
  t.match(good.request, { countersign: claims })
  t.strictSame(asked.pop(), ['good', demand, '192.0.2.2'])
  const stale = at('stale')
  const error = await stale.answer.then(() => undefined, (error: unknown) => error)
  t.type(error, HttpException)
  const body = { statusCode: 403, code: 'OTP_STALE', maxAgeSeconds: 300 }
  t.match(error, { given: [body, 403, { cause: Refusal }] })
  t.match(stale.headers, { 'x-refusal': 'OTP_STALE', 'cache-control': 'no-store', 'www-authenticate': /max_age/ })
  t.notMatch(stale.request, { countersign: claims })
  await t.rejects(at('broken').answer, TypeError)
})
