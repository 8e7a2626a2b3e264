import t from 'tap'
import { createHttp } from '../../src/http.js'

/*
 * Fastify gives a plugin ten seconds. The first start of the embedded database takes longer on a busy machine, and a replica
 * waits for another replica's migration without a limit: the process ended with AVV_ERR_PLUGIN_EXEC_TIMEOUT.
 */
t.test('no slow plugin is aborted', async (t) => {
  const app = await createHttp({ logLevel: 'silent', trustedProxies: [] })
  t.teardown(() => app.close())
  t.equal(app.initialConfig.pluginTimeout, 0)
})
