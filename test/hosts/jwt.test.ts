/** Host with @fastify/jwt by HS256, and with whole numbers as user ids. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { installHost } from './host.js'
import { visitorAt } from './visitor.js'
import { wholeFlow } from './whole-flow.js'

await need('postgres')
t.setTimeout(600_000)

const installed = await installHost(t, 'jwt')
const { base } = await installed.start({ JWT_SECRET: randomBytes(32).toString('hex'), SEAL_KEYS: freshKeys()['SEAL_KEYS']! })
const password = 'correct horse battery staple'
await visitorAt([base]).ask('POST', '/sign-up', { name: 'ada', password })

t.test('the whole flow', async (t) => {
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/totp',
    guarded: [
      { method: 'GET', path: '/invoices', demand: 'plain' },
      { method: 'DELETE', path: '/invoices', demand: 'fresh' },
      { method: 'GET', path: '/payroll', demand: 'required' }
    ],
    async logIn (name) {
      const visitor = visitorAt([base])
      const { status } = await visitor.ask('POST', '/login', { name, password })
      if (status !== 200) throw new Error(`log-in: ${status}`)
      return visitor
    },
    codeOf: ({ json }) => json.code
  })
})
