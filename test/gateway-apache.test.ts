/** docs/gateway.md, Apache: this test runs the blocks of the page. */
import { startApache } from './helpers/apache.js'
import { testLuaGateway } from './helpers/gateway-in-lua.js'
import { need } from './helpers/need.js'

const program = await need('apache2')
await need('lua-socket')

await testLuaGateway({
  blocks: ['apache.lua', 'apache.conf'],
  listens: ['*:80', (port) => `127.0.0.1:${port}`],
  start: (t, site, script, port) => startApache(t, program, site, script, port)
})
