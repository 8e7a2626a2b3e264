/* One error, at the line of the keys: a variable of the environment may be missing. */
import countersign from 'countersign'
import Fastify from 'fastify'

const app = Fastify()
await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env['SEAL_KEYS'],
  database: 'postgres://db.example.org/acme',
  async identify ({ headers: { authorization } }) {
    return authorization === undefined ? null : { userId: authorization, sessionId: authorization }
  },
  label: (userId) => userId.toUpperCase(),
  complete: (request, _reply, { userId, sessionId }) => ({ sessionId, answer: { userId, at: request.url } })
})
app.get('/invoices', { preHandler: app.otpVerified }, async () => ({}))
