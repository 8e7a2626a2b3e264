import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import countersign from 'countersign'
import express from 'express'
import Fastify from 'fastify'
import jwt from 'jsonwebtoken'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await countersign.migrate(pool)
const site = express()

/** Fastify answers the second factor, Express all else, at one port. A gateway can do the same in front of two processes. */
const app = Fastify({
  serverFactory: (handler) => createServer((req, res) => /^\/totp\//.test(req.url) ? handler(req, res) : site(req, res))
})

const secret = process.env.JWT_SECRET
const tokenOf = (userId, sid, authTime) =>
  jwt.sign({ sub: userId, sid, auth_time: authTime }, secret, { algorithm: 'HS256', expiresIn: '5m' })
function claimsOf ({ authorization = '' }) {
  try {
    return jwt.verify(authorization.replace(/^Bearer /, ''), secret, { algorithms: ['HS256'] })
  } catch {
    return null
  }
}

await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: process.env.SEAL_KEYS,
  database: pool,
  session: '/session',
  identify ({ headers }) {
    const claims = claimsOf(headers)
    return claims && { userId: claims.sub, sessionId: claims.sid, authTime: claims.auth_time }
  },
  label: (userId) => userId,
  complete: (request, reply, { userId, sessionId, authTime }) => ({ sessionId, answer: { token: tokenOf(userId, sessionId, authTime) } })
})

/**
 * Middleware: `otpVerified()`, `otpVerified('maxAge=300')`, `otpVerified('required')`. It asks the guard with the credentials of the
 * request; from another process, `fetch` does it in place of `inject`.
 */
const otpVerified = (demand = '') => async (req, res, next) => {
  const { authorization } = req.headers
  const { statusCode, headers, body } = await app.inject({ url: `/session?${demand}`, headers: authorization ? { authorization } : {} })
  if (statusCode === 200) {
    req.userId = headers['x-user-id']
    return next()
  }
  for (const name of ['www-authenticate', 'retry-after', 'content-type']) if (headers[name]) res.set(name, headers[name])
  res.status(statusCode).send(body)
}

// A real app checks the password here.
site.post('/login', express.json(), (req, res) => res.json({ token: tokenOf(req.body.name, randomUUID(), Math.floor(Date.now() / 1000)) }))
site.get('/invoices', otpVerified(), (req, res) => res.json({ invoicesOf: req.userId }))
site.delete('/invoices', otpVerified('maxAge=300'), (req, res) => res.json({}))
site.get('/payroll', otpVerified('required'), (req, res) => res.json({}))

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
