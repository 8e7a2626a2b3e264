/**
 * `guard(client, { maxage: 300 })` of Express, Hono, Next.js and NestJS was accepted when the route was made: the first request that
 * met it was answered 500. `guard(client, undefined)`, a demand looked up by a wrong name, was the plain guard.
 */
import t from 'tap'
import type { AccessClaims, Demand } from '../../src/client/index.js'
import { guard as express } from '../../src/client/express.js'
import { guard as hono } from '../../src/client/hono.js'
import { guards as nest } from '../../src/client/nest.js'
import { guard as next, guardPages } from '../../src/client/next.js'

const seen: Array<Demand | undefined> = []
const client = {
  async verify (_token?: string, demand?: Demand) {
    seen.push(demand)
    return { sub: 'ada' } as AccessClaims
  }
}
const answer = () => new Response('passed')
const request = new Request('http://x/')
const Guard = nest(client, class extends Error { constructor (_body: object) { super() } })
const contextOf = (request: object) => ({ switchToHttp: () => ({ getRequest: () => request, getResponse: () => ({}) }) })

/** How each adapter makes a guard, and a request to it. */
const adapters: Record<string, (...given: [demand?: Demand]) => () => unknown> = {
  express (...given) {
    const guard = express(client, ...given)
    return () => new Promise((resolve) => { guard({ headers: {} } as never, {} as never, resolve) })
  },
  hono (...given) {
    const guard = hono(client, ...given)
    return () => guard({ req: { raw: request }, set () {} }, async () => {})
  },
  nest (...given) {
    const Class = Guard(...given)
    return () => new Class().canActivate(contextOf({ headers: {} }))
  },
  'route handlers of next' (...given) {
    const guard = next(() => client, answer, ...given)
    return () => guard(request, {})
  },
  'pages of next' (...given) {
    const guard = guardPages(() => client, answer, ...given)
    return () => guard(request)
  }
}

const MISSPELT: unknown[] = [{ maxage: 300 }, { maxAge: '300' }, { maxAge: undefined }, { require: true }, 300, null, undefined]

for (const [name, make] of Object.entries(adapters)) {
  t.test(`${name}: a misspelt demand is a TypeError where the guard is made`, async (t) => {
    for (const demand of MISSPELT) t.throws(() => make(demand as Demand), TypeError, JSON.stringify(demand))
    await make()()
    t.equal(seen.pop(), undefined, 'no demand is the plain guard')
  })

  t.test(`${name}: what is written to the demand later changes no guard`, async (t) => {
    const demand: Demand = { maxAge: 300 }
    const call = make(demand)
    delete demand.maxAge
    await call()
    t.strictSame(seen.pop(), { maxAge: 300 })
  })
}
