import { randomUUID } from 'node:crypto'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'
import { RedisStore } from './redis-store.js'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const redis = new Redis(process.env.REDIS_URL)
await countersign.migrate(pool, { schema: 'second_factor' })

// These settings apply to the app's own routes only: Countersign's routes coerce nothing, drop nothing, and accept only JSON.
const app = Fastify({ ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all' } }, trustProxy: '127.0.0.1' })
app.setErrorHandler((error, request, reply) => {
  reply.code(error.statusCode ?? 500).headers(error.headers ?? {}).send({ problem: error.code ?? 'UNKNOWN' })
})
app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (request, body, done) => {
  done(null, Object.fromEntries(new URLSearchParams(body)))
})
await app.register(cookie)
await app.register(session, {
  secret: process.env.COOKIE_SECRET,
  cookie: { secure: false, sameSite: 'lax' },
  saveUninitialized: false,
  store: new RedisStore(redis, process.env.PREFIX)
})

const body = { type: 'object', required: ['email'], properties: { email: { type: 'string' } } }
app.post('/login', { schema: { body } }, async (request) => {
  // A real app checks the password here.
  await request.session.regenerate()
  // Not the id in the cookie: that is a secret and must stay one.
  Object.assign(request.session, { userId: request.body.email, sid: randomUUID(), since: Math.floor(Date.now() / 1000) })
  return {}
})

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  namespace: 'acme-web',
  prefix: '/account/2fa',
  database: pool,
  tables: { schema: 'second_factor' },
  redis,
  identify: ({ session }) => session.userId === undefined
    ? null
    : { userId: session.userId, sessionId: session.sid, authTime: session.since },
  label: (userId) => userId,
  async complete (request, reply, { userId, sessionId, authTime }) {
    await request.session.regenerate()
    Object.assign(request.session, { userId, sid: sessionId, since: authTime })
    return { sessionId, answer: { ok: true } }
  }
})

app.get('/account', { preHandler: otpVerified() }, async (request) => ({ accountOf: request.session.userId }))
app.post('/account/email', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/admin', { preHandler: otpVerified({ required: true }) }, async () => ({}))
app.addHook('onClose', async () => { redis.disconnect() })

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
