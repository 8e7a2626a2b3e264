import t from 'tap'
import { createHttp } from '../../src/http.js'

/*
 * Fastify gives a plugin ten seconds. The embedded database's first start took longer on a busy machine, and a replica
 * waits for another one's migration for as long as that takes: the process ended with AVV_ERR_PLUGIN_EXEC_TIMEOUT.
 */
t.test('no plugin is given up for being slow', async (t) => {
  const app = await createHttp({ logLevel: 'silent', trustedProxies: [] })
  t.teardown(() => app.close())
  t.equal(app.initialConfig.pluginTimeout, 0)
})
