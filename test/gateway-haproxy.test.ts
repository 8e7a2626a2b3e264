/** docs/gateway.md, HAProxy: this test runs the blocks of the page. */
import { testLuaGateway } from './helpers/gateway-in-lua.js'
import { startHaproxy } from './helpers/haproxy.js'
import { need } from './helpers/need.js'

const program = await need('haproxy')

await testLuaGateway({
  blocks: ['haproxy.lua', 'haproxy.cfg'],
  listens: ['bind :80', (port) => `bind 127.0.0.1:${port}`],
  start: (t, configuration, script, port) => startHaproxy(t, program, configuration, script, port)
})
