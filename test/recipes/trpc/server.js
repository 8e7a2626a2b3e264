import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import { initTRPC, TRPCError } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import countersign, { isRefusal } from 'countersign'
import Fastify from 'fastify'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await countersign.migrate(pool)

/** tRPC makes any other error of a middleware INTERNAL_SERVER_ERROR. */
const CODES = { 400: 'BAD_REQUEST', 401: 'UNAUTHORIZED', 403: 'FORBIDDEN', 429: 'TOO_MANY_REQUESTS', 503: 'SERVICE_UNAVAILABLE' }

const t = initTRPC.context().create({
  errorFormatter: ({ shape, error: { cause } }) =>
    isRefusal(cause) ? { ...shape, data: { ...shape.data, refusal: cause.extensions } } : shape
})

/** `verified({ maxAge: 300 }).query(…)`. Several procedures of one request are judged one by one. */
const verified = (demand = {}) => t.procedure.use(async ({ ctx, next }) => {
  const session = await app.countersign.check(ctx.request, demand).catch((error) => {
    throw isRefusal(error) ? new TRPCError({ code: CODES[error.statusCode], message: error.message, cause: error }) : error
  })
  return await next({ ctx: { ...ctx, session } })
})

const router = t.router({
  invoices: verified().query(({ ctx }) => ({ invoicesOf: ctx.session.userId })),
  export: verified({ maxAge: 300 }).query(() => ({})),
  payroll: verified({ required: true }).query(() => ({}))
})

const app = Fastify()
await app.register(jwt, { secret: process.env.JWT_SECRET, sign: { expiresIn: '5m' } })
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

await app.register(fastifyTRPCPlugin, {
  prefix: '/trpc',
  trpcOptions: {
    router,
    createContext: ({ req }) => ({ request: req }),
    responseMeta: ({ errors }) => ({ headers: errors.find(({ cause }) => isRefusal(cause))?.cause.headers })
  }
})

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
