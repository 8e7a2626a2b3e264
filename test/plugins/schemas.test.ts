import Fastify from 'fastify'
import t from 'tap'
import schemas from '../../plugins/schemas.js'
import { refused } from '../../routes/refused.js'
import { errorBody } from '../../routes/error-body.js'
import { Refusal, type RefusalCode, type RefusalDetails } from '../../src/core/refusals.js'

t.test('a refusal of a route with our schemas has a body, whoever handles errors', async (t) => {
  const route = { schema: { response: refused(['OTP_INVALID']) }, handler: async () => { throw new Refusal('OTP_INVALID') } }
  const withFastifys = Fastify()
  await withFastifys.register(schemas)
  withFastifys.get('/', route)
  t.match((await withFastifys.inject('/')).json(), { statusCode: 400, code: 'OTP_INVALID', error: 'Bad Request', message: String })

  const withOwn = Fastify()
  withOwn.setErrorHandler((error, _request, reply) => reply.code(400).send({ problem: (error as Refusal).code }))
  await withOwn.register(schemas)
  withOwn.get('/', route)
  t.same((await withOwn.inject('/')).json(), { problem: 'OTP_INVALID' })
})

/** [code, details] */
const detailed: ReadonlyArray<readonly [RefusalCode, RefusalDetails]> = [
  ['RATE_LIMITED', { retryAfterSeconds: 17 }],
  ['OTP_LOCKED', { retryAfterSeconds: 60, needsRecovery: true }],
  ['OTP_STALE', { maxAgeSeconds: 300 }],
  ['OTP_REQUIRED', { methods: ['totp', 'recovery_code'] }],
  ['UNAVAILABLE', {}]
]

for (const [code, details] of detailed) {
  t.test(`${code} has the same details with Fastify's error handler as with the service's`, async (t) => {
    const app = Fastify()
    await app.register(schemas)
    const refusal = new Refusal(code, { ...details, hint: { key: 'bodyNotJson' } })
    app.get('/', { schema: { response: refused([code]) }, handler: async () => { throw refusal } })
    const answer = await app.inject('/')
    t.same(answer.json(), errorBody(code, refusal.details))
    t.match(answer.json(), details)
    t.match(answer.headers, refusal.headers)
  })
}
