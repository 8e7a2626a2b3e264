/**
 * Import it before tap. Tap watches each promise by async hooks, to find the test of an uncaught error, which costs a tenth of the CPU of
 * a test file. The worker names the file instead.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'

const hooks = createRequire(import.meta.url)('node:async_hooks') as { createHook: () => object }
hooks.createHook = () => ({ enable () { return this }, disable () { return this } })
syncBuiltinESMExports()
