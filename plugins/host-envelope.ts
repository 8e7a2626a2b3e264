import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Lets a `preSerialization` hook of the host wrap our answers. The serializer of a route knows the answer of its schema alone, and
 * would fail on a wrapped one after the codes in it were made. So the hook gets the answer as JSON has it, without any field that
 * the schema does not have, and its result is sent as it is.
 */
async function hostEnvelope (scope: FastifyInstance): Promise<void> {
  const known = new WeakSet<object>()
  scope.addHook('onRoute', (route) => {
    const { handler } = route
    // A HEAD route has the handler of its GET route.
    if (known.has(handler)) return
    route.handler = async function (request, reply) {
      const answer: unknown = await handler.call(this, request, reply)
      return typeof answer === 'object' && answer !== null && !reply.sent ? asJson(reply, answer) : answer
    }
    known.add(route.handler)
  })
}

function asJson (reply: FastifyReply, answer: object): unknown {
  const serialize = reply.getSerializationFunction(String(reply.statusCode)) ?? JSON.stringify
  void reply.type('application/json; charset=utf-8').serializer(JSON.stringify)
  return JSON.parse(serialize(answer as Record<string, unknown>))
}

export default fp(hostEnvelope, { name: 'host-envelope', fastify: '5.x' })
