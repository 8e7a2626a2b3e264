/**
 * The peer of `npm run bench -- --peer better-auth`: better-auth with two-factor authentication on Fastify, set up for production as its
 * documentation has it: a pool, secondary storage on Redis, a rate limit there. Sessions end at once here too: without
 * session.cookieCache, which answers for an ended session until it expires.
 */
import { redisStorage } from '@better-auth/redis-storage'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { fromNodeHeaders } from 'better-auth/node'
import { twoFactor } from 'better-auth/plugins'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'

const { AUTH_SECRET, BASE_URL, DATABASE_URL, REDIS_URL } = process.env

const auth = betterAuth({
  baseURL: BASE_URL,
  secret: AUTH_SECRET,
  database: new pg.Pool({ connectionString: DATABASE_URL, max: 10 }),
  secondaryStorage: redisStorage({ client: new Redis(REDIS_URL) }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: true, storage: 'secondary-storage' },
  // The proxy in front names the client, as ours does.
  advanced: { ipAddress: { ipAddressHeaders: ['x-forwarded-for'] } },
  plugins: [twoFactor()]
})
await (await getMigrations(auth.options)).runMigrations()

const app = Fastify()

app.all('/api/auth/*', async (request, reply) => {
  const answer = await auth.handler(new Request(new URL(request.url, BASE_URL), {
    method: request.method,
    headers: fromNodeHeaders(request.headers),
    ...(request.body == null ? {} : { body: JSON.stringify(request.body) })
  }))
  answer.headers.forEach((value, name) => { reply.header(name, value) })
  return await reply.code(answer.status).send(await answer.text())
})

app.get('/session', async (request, reply) => {
  const found = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) })
  if (found === null) return await reply.code(401).send({ code: 'TOKEN_INVALID' })
  return { userId: found.user.id, sessionId: found.session.id }
})

await app.listen({ port: 0, host: '127.0.0.1' })
console.log(`listening on ${app.server.address().port}`)
