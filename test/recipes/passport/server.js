import { randomUUID } from 'node:crypto'
import { Authenticator } from '@fastify/passport'
import secureSession from '@fastify/secure-session'
import countersign, { otpVerified } from 'countersign'
import Fastify from 'fastify'
import { Strategy } from 'passport-local'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await countersign.migrate(pool)

const app = Fastify()
const key = Buffer.from(process.env.SESSION_KEY, 'hex')
await app.register(secureSession, { key, cookie: { path: '/', httpOnly: true, sameSite: 'lax' } })
const passport = new Authenticator()
await app.register(passport.initialize())
await app.register(passport.secureSession())
// A real app checks the password here.
passport.use('local', new Strategy({ usernameField: 'name' }, (name, password, done) => done(null, password === '' ? false : { name })))
passport.registerUserSerializer(async ({ name }) => name)
passport.registerUserDeserializer(async (name) => ({ name }))

app.post('/login', { preValidation: passport.authenticate('local') }, async ({ session }) => {
  // The whole session is in the cookie: a copy of it stays readable, and only the end of its `sid` makes it worthless.
  session.set('sid', randomUUID())
  session.set('since', Math.floor(Date.now() / 1000))
  return {}
})

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  database: pool,
  // `request.user` is there: passport sets it in preValidation.
  identify: ({ user, session }) => user ? { userId: user.name, sessionId: session.get('sid'), authTime: session.get('since') } : null,
  label: (userId) => userId,
  complete ({ session }, reply, { sessionId }) {
    session.set('sid', sessionId)
    return { sessionId, answer: {} }
  }
})

app.post('/logout', { preHandler: app.countersign.session }, async (request) => {
  const { userId, sessionId } = request.countersign
  await app.countersign.endSession(userId, sessionId)
  request.session.delete()
  return {}
})

app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
app.delete('/invoices', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/payroll', { preHandler: otpVerified({ required: true }) }, async () => ({}))

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
