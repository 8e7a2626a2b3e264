import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'

export default fp(async (app) => {
  await app.register(jwt, { secret: process.env.JWT_SECRET, sign: { expiresIn: '5m' } })
}, { name: 'jwt' })
