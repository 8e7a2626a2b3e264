import { randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto'
import jwt from '@fastify/jwt'
import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await pool.query('create table if not exists users (id serial primary key, name text not null unique, password text not null)')
await countersign.migrate(pool)

const app = Fastify()
await app.register(jwt, {
  secret: process.env.JWT_SECRET, sign: { algorithm: 'HS256', expiresIn: '5m' }, verify: { algorithms: ['HS256'] }
})

/** `sid` is new: the id of the session, here and for Countersign. */
const tokenOf = (userId, sid, authTime) => app.jwt.sign({ sub: userId, sid, auth_time: authTime })
const hash = (password, salt) => `${salt}:${scryptSync(password, salt, 32).toString('hex')}`

app.post('/sign-up', async (request) => {
  const { name, password } = request.body
  await pool.query('insert into users (name, password) values ($1, $2)', [name, hash(password, randomBytes(16).toString('hex'))])
  return {}
})

app.post('/login', async (request, reply) => {
  const { name, password } = request.body
  const { rows: [user] } = await pool.query('select id, password from users where name = $1', [name])
  const right = user !== undefined && timingSafeEqual(Buffer.from(hash(password, user.password.split(':')[0])), Buffer.from(user.password))
  if (!right) return reply.code(401).send({ message: 'No.' })
  return { token: tokenOf(String(user.id), randomUUID(), Math.floor(Date.now() / 1000)) }
})

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  namespace: 'acme',
  database: pool,
  async identify (request) {
    const claims = await request.jwtVerify().catch(() => null)
    return claims && { userId: claims.sub, sessionId: claims.sid, authTime: claims.auth_time }
  },
  async label (userId) {
    const { rows: [user] } = await pool.query('select name from users where id = $1', [userId])
    return user.name
  },
  complete: async (request, reply, { userId, sessionId, authTime }) =>
    ({ sessionId, answer: { token: tokenOf(userId, sessionId, authTime) } })
})

app.get('/invoices', { preHandler: otpVerified() }, async (request) => ({ invoicesOf: request.countersign.userId }))
app.delete('/invoices', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/payroll', { preHandler: otpVerified({ required: true }) }, async () => ({}))

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
