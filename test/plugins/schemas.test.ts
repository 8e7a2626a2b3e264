import Fastify from 'fastify'
import t from 'tap'
import schemas from '../../plugins/schemas.js'
import { refused } from '../../routes/refused.js'
import { Refusal } from '../../src/core/refusals.js'

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
