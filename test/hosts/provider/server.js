import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const app = Fastify()
const keys = createRemoteJWKSet(new URL(process.env.JWKS_URL))
await countersign.migrate(process.env.DATABASE_URL)

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  namespace: 'acme-provider',
  database: process.env.DATABASE_URL,
  async identify ({ headers: { authorization = '' } }) {
    const token = authorization.replace(/^Bearer /, '')
    const verified = await jwtVerify(token, keys, { issuer: 'https://login.example.org', audience: 'acme' }).catch(() => null)
    return verified && { userId: verified.payload.sub, sessionId: verified.payload.sid, authTime: verified.payload.auth_time }
  },
  label: (userId) => userId,
  // The provider's session keeps its id: the tokens of the requester become verified.
  sameSession: true,
  complete: (request, reply, { sessionId }) => ({ sessionId, answer: { verified: true } })
})

app.get('/orders', { preHandler: otpVerified() }, async (request) => ({ ordersOf: request.countersign.userId }))
app.delete('/orders', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/refunds', { preHandler: otpVerified({ required: true }) }, async () => ({}))

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
