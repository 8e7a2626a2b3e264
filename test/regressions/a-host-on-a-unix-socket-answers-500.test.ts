import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

/*
 * A request through a Unix socket, as from a proxy on the same machine, has no address. Each session and event must have
 * one, so a host answered every such request with 500.
 */

await need('postgres')
const { db, anotherHost } = await freshHost(t)

t.test('J5 at a host on a Unix socket a session begins, without an address', async (t) => {
  const host = await anotherHost({ identify: () => ({ userId: 'ada', sessionId: 's' }) })
  const socketPath = join(await temporaryFolder(t), 'host.sock')
  await host.listen({ path: socketPath })
  const [answer] = await once(request({ socketPath, path: '/app/inside' }).end(), 'response') as [IncomingMessage]
  answer.resume()
  t.equal(answer.statusCode, 200)
  t.same(await db.query("select ip from otp_session where user_id = 'ada'"), [{ ip: '' }])
})
