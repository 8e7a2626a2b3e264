/**
 * `guardPages` set a header on the response of the application. The headers of `Response.redirect` and of a response of `fetch` cannot
 * be changed, and an async function returns a promise: each was answered 500.
 */
import t from 'tap'
import type { AccessClaims } from '../../src/client/index.js'
import { guardPages } from '../../src/client/next.js'

const client = { verify: async () => ({ sub: 'ada' } as AccessClaims) }
const request = new Request('http://x/invoices', { headers: { authorization: 'Bearer good' } })
const fetched = async (text: string) => await fetch(`data:text/html,${text}`)

t.test('an answer with headers that cannot be changed is passed on, and is stored by no cache', async (t) => {
  const redirected = await guardPages(() => client, () => Response.redirect('http://x/elsewhere', 307))(request)
  t.strictSame(
    [redirected.status, redirected.headers.get('location'), redirected.headers.get('cache-control')],
    [307, 'http://x/elsewhere', 'private, no-store']
  )
  const page = await fetched('invoices')
  t.throws(() => { page.headers.set('cache-control', 'no-store') }, TypeError)
  const passed = await guardPages(() => client, () => page)(request)
  t.strictSame(
    [passed.status, passed.headers.get('content-type'), passed.headers.get('cache-control'), await passed.text()],
    [200, 'text/html', 'private, no-store', 'invoices']
  )
})

t.test('an async function is awaited, and each of its cookies is kept', async (t) => {
  const passed = await guardPages(() => client, async () => await fetched('later'))(request)
  t.strictSame([passed.headers.get('cache-control'), await passed.text()], ['private, no-store', 'later'])
  const own = new Response('own', { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] })
  const kept = await guardPages(() => client, async () => own)(request)
  t.equal(kept, own, 'a response whose headers can be changed stays the one of the application')
  t.strictSame(kept.headers.getSetCookie(), ['a=1', 'b=2'])
})
