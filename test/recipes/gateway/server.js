import { randomUUID } from 'node:crypto'
import httpProxy from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import websocket from '@fastify/websocket'
import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await countersign.migrate(pool)
const app = Fastify()

/** Ends a connection with its session: for one that stays open after the guard let it in. */
function endWithSession (request, reply, done) {
  const { headers, socket } = request.raw
  // The answer of a websocket closes with its connection. Any other closes before: a kept connection has many, with the header too.
  if (headers.upgrade !== undefined && !socket.destroyed) {
    reply.raw.on('close', app.countersign.onEnd(request, () => socket.destroy()))
  }
  done()
}

// First of the three: @fastify/websocket and mercurius wait for upgrades of connections too, and the order decides which of them answers.
await app.register(httpProxy, {
  upstream: process.env.BACK_END,
  prefix: '/back-end',
  websocket: true,
  // Without it a GET that the back end answers with 503 is repeated ten times.
  retryMethods: [],
  preHandler: [otpVerified(), endWithSession],
  replyOptions: {
    // Stamps the user, over whatever the client sent by that name.
    rewriteRequestHeaders: ({ countersign }, headers) => ({ ...headers, 'x-user-id': countersign.userId })
  },
  wsClientOptions: { rewriteRequestHeaders: (headers, { countersign }) => ({ ...headers, 'x-user-id': countersign.userId }) }
})
await app.register(jwt, { secret: process.env.JWT_SECRET, sign: { expiresIn: '5m' } })
await app.register(websocket)

const tokenOf = (userId, sid, authTime) => app.jwt.sign({ sub: userId, sid, auth_time: authTime })
// A real app checks the password here.
app.post('/login', async ({ body: { name } }) => ({ token: tokenOf(name, randomUUID(), Math.floor(Date.now() / 1000)) }))

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  database: pool,
  async identify (request) {
    const claims = await request.jwtVerify().catch(() => null)
    return claims && { userId: claims.sub, sessionId: claims.sid, authTime: claims.auth_time }
  },
  label: (userId) => userId,
  complete: (request, reply, { userId, sessionId, authTime }) => ({ sessionId, answer: { token: tokenOf(userId, sessionId, authTime) } })
})

/** The whole endpoint asks for a verified session, subscriptions too; one field asks for a fresh proof. */
await app.register(async (scope) => {
  scope.addHook('preHandler', otpVerified())
  await scope.register(mercurius, {
    schema: 'type Query { me: String, salary: Int } type Subscription { added: String }',
    resolvers: {
      Query: {
        me: (root, args, { reply }) => reply.request.countersign.userId,
        async salary (root, args, { app, reply }) {
          await app.countersign.check(reply.request, { maxAge: 300 })
          return 1000
        }
      },
      Subscription: { added: { subscribe: (root, args, { pubsub }) => pubsub.subscribe('ADDED') } }
    },
    subscription: {
      context (socket, request) {
        socket.on('close', app.countersign.onEnd(request, () => socket.close(1008)))
        return {}
      }
    }
  })
})

app.post('/logout', { preHandler: app.countersign.session }, async ({ countersign: { userId, sessionId } }) => {
  await app.countersign.endSession(userId, sessionId)
  return {}
})
app.get('/feed', { websocket: true, preHandler: otpVerified() }, (socket, request) => {
  socket.on('close', app.countersign.onEnd(request, () => socket.close(1008)))
  socket.send(`hello ${request.countersign.userId}`)
})
app.delete('/invoices', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/payroll', { preHandler: otpVerified({ required: true }) }, async () => ({}))

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
