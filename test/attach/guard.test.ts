import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import countersign from '../../plugins/countersign.js'
import type { Demand } from '../../src/core/assurance.js'

const app = Fastify()
t.teardown(() => app.close())
await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: `2026:${randomBytes(32).toString('base64url')}`,
  database: 'postgres://127.0.0.1:1/nowhere',
  identify: () => null,
  label: () => '',
  complete: () => ({ sessionId: '', answer: {} })
})

t.test('T8 a demand that would guard less than it seems is refused when the route is made', async (t) => {
  const wrong = [undefined, null, 300, { maxAge: NaN }, { maxAge: undefined }, { maxAge: '300' }, { maxAge: -1 }, { maxAge: Infinity }, { maxage: 300 }, { require: true }, { required: 'yes' }, { required: undefined }]
  for (const demand of wrong) t.throws(() => app.otpVerified(demand as Demand), { name: 'TypeError', message: /otpVerified takes/ }, JSON.stringify(demand))
  t.throws(() => (app.otpVerified as unknown as () => void)(), { name: 'TypeError' })
  for (const demand of [{}, { maxAge: 0 }, { required: true }, { required: false, maxAge: 300 }]) t.type(app.otpVerified(demand), 'function')
})
