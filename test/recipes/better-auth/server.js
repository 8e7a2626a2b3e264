import { betterAuth } from 'better-auth'
import { createAuthEndpoint, sessionMiddleware } from 'better-auth/api'
import { setSessionCookie } from 'better-auth/cookies'
import { getMigrations } from 'better-auth/db/migration'
import { fromNodeHeaders } from 'better-auth/node'
import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const base = `http://127.0.0.1:${process.env.PORT}`

/** Moves a session. It has no path, so only the server calls it. The time of the password goes with it. */
const moveSession = createAuthEndpoint({ method: 'POST', use: [sessionMiddleware], requireHeaders: true }, async (ctx) => {
  const { session, user } = ctx.context.session
  const next = await ctx.context.internalAdapter.createSession(user.id, false, { authTime: session.authTime ?? session.createdAt })
  await ctx.context.internalAdapter.deleteSession(session.token)
  await setSessionCookie(ctx, { session: next, user })
  return { sessionId: next.id }
})

const auth = betterAuth({
  baseURL: base,
  secret: process.env.AUTH_SECRET,
  database: pool,
  emailAndPassword: { enabled: true },
  // Without session.cookieCache, which answers for a deleted session until it expires.
  session: { additionalFields: { authTime: { type: 'date', required: false, input: false } } },
  plugins: [{ id: 'moving', endpoints: { moveSession } }]
})
await (await getMigrations(auth.options)).runMigrations()
await countersign.migrate(pool)

const app = Fastify()
const sessionOf = async ({ headers }) => await auth.api.getSession({ headers: fromNodeHeaders(headers) })

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  database: pool,
  async identify (request) {
    const found = await sessionOf(request)
    if (found === null) return null
    const { id, authTime, createdAt } = found.session
    return { userId: found.user.id, sessionId: id, authTime: Math.floor((authTime ?? createdAt).getTime() / 1000) }
  },
  async label (userId) {
    return (await pool.query('select email from "user" where id = $1', [userId])).rows[0].email
  },
  async complete (request, reply, { sessionId }) {
    const { session } = await sessionOf(request)
    if (session.id === sessionId) return { sessionId, answer: {} }
    const moved = await auth.api.moveSession({ headers: fromNodeHeaders(request.headers), returnHeaders: true })
    reply.header('set-cookie', moved.headers.getSetCookie())
    return { sessionId: moved.response.sessionId, answer: {} }
  },
  async endSessions (userId, { except }) {
    // Nothing waits for this: a session that begins meanwhile stays.
    await pool.query('delete from session where "userId" = $1 and id <> $2 and "createdAt" <= $3', [userId, except ?? '', new Date()])
  }
})

/** Operations of better-auth that ask for no second factor. Every other one does: also those of plugins that are added later. */
const open = new Set(['sign-up/email', 'sign-in/email', 'sign-out', 'get-session'].map((path) => `/api/auth/${path}`))

app.all('/api/auth/*', async (request, reply) => {
  // The path as better-auth resolves it, not as it was sent.
  const url = new URL(request.url, base)
  if (!open.has(url.pathname)) await app.countersign.check(request, { maxAge: 300 })
  const answer = await auth.handler(new Request(url, {
    method: request.method,
    headers: fromNodeHeaders(request.headers),
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) })
  }))
  answer.headers.forEach((value, name) => { reply.header(name, value) })
  return await reply.code(answer.status).send(await answer.text())
})

app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
app.delete('/invoices', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/payroll', { preHandler: otpVerified({ required: true }) }, async () => ({}))

await app.listen({ port: Number(process.env.PORT) })
console.log(`listening on ${base}`)
