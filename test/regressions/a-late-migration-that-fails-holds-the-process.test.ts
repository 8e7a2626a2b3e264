import t from 'tap'
import { freshDatabase } from '../helpers/database.js'
import { freePort } from '../helpers/free-port.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshSettings } from '../helpers/settings.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'

await need('postgres')

// PostgreSQL starts after the service, and the tables cannot be made there. The main port closed, but the metrics port kept
// the process alive: no supervisor restarted it, and /livez reported no fault.
for (const ports of ['one port', 'OPS_PORT too']) {
  t.test(`M2 a migration that fails late ends the process with 1: ${ports}`, { timeout: 60_000 }, async (t) => {
    const db = await freshDatabase(t)
    await db.query('create table otp_user ()')
    const proxy = await tcpProxy(t, targetOf(db.url))
    await proxy.cut()
    const opsPort = String(await freePort())
    const server = startServer(t, {
      ...await freshSettings(t),
      DATABASE_URL: proxy.url(db.url),
      ...(ports === 'one port' ? {} : { OPS_PORT: opsPort })
    })
    const base = await server.listening()
    t.equal((await call(base, 'GET', '/livez')).status, 200)
    await proxy.restore()
    t.equal(await server.exited, 1)
    t.match(server.said(), 'the migration failed')
  })
}
