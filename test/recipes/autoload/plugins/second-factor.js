import countersign from 'countersign'
import fp from 'fastify-plugin'
import pg from 'pg'

// `fp`: without it the plugin is in the scope of this file, and every guarded route answers 500.
export default fp(async (app) => {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  app.addHook('onClose', () => pool.end())
  await countersign.migrate(pool)
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: process.env.SEAL_KEYS,
    database: pool,
    async identify (request) {
      const claims = await request.jwtVerify().catch(() => null)
      return claims && { userId: claims.sub, sessionId: claims.sid, authTime: claims.auth_time }
    },
    label: (userId) => userId,
    complete: (request, reply, { userId, sessionId, authTime }) =>
      ({ sessionId, answer: { token: app.jwt.sign({ sub: userId, sid: sessionId, auth_time: authTime }) } })
  })
}, { name: 'second-factor', dependencies: ['jwt'] })
