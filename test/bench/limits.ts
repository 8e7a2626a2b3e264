/**
 * The limits that the service is compared with: apps of one route, each in its own process. `fork('limits.js', [name])` sends
 * the port that it listens on; its settings are in the environment.
 */
import type { AddressInfo } from 'node:net'
import fastifyJwt from '@fastify/jwt'
import { Type, type TSchema } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import countersign from '../../plugins/countersign.js'
import { refused } from '../../routes/refused.js'
import { TokenPair } from '../../routes/schemas.js'
import { SessionAnswer } from '../../routes/session/index.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, row } from '../../src/tables/db.js'

const { BENCH_SECRET: secret = '', DATABASE_URL: databaseUrl = '', REDIS_URL: redisUrl = '' } = process.env
/** The same number as the service's default. */
const CONNECTIONS = 10

const facts = {
  userId: '0f8fad5b-d9cb-469f-a165-70867728950e',
  sessionId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
  otpDeviceId: '16fd2706-8baf-433b-82eb-8c7fada847da',
  otpTime: 1795424400
}
const EXPIRES_AT_MS = 1_798_016_400_000
/** As long as a token pair of the service. */
const pair = {
  access: 'a'.repeat(480),
  refresh: 'r'.repeat(490),
  expiresIn: 300,
  otpRequired: false,
  otpMethods: ['totp', 'recovery_code'],
  otpExpiresAt: null
}
const noStore = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }

/** Sends the answer of `/session` with its headers, without any work. */
function answerSession (reply: FastifyReply): FastifyReply {
  reply.headers({ ...noStore, 'x-user-id': facts.userId, 'x-session-id': facts.sessionId, 'x-otp-device-id': facts.otpDeviceId })
  return reply.send({ ...facts, expiresAt: new Date(EXPIRES_AT_MS) })
}

const session = { schema: { response: { 200: SessionAnswer } } }
const taking = (body: TSchema) => ({ schema: { body, response: { 200: TokenPair } } })
const { 429: Refused } = refused(['OTP_LOCKED'])

/** Runs `times` conditional updates by primary key, each in its own commit, then answers with one kilobyte. */
function updating (app: FastifyInstance, path: string, times: number): void {
  const db = createDb(openPostgres(databaseUrl, CONNECTIONS, console.error).dialect)
  app.post<{ Body: { userId: string } }>(path, taking(Type.Object({ userId: Type.String() })), async ({ body }, reply) => {
    for (let version = 0; version < times; version++) {
      const done = await row(
        db,
        sql`update ${db.table.otp_user} set version = version + 1 where user_id = ${body.userId} and version = ${version} returning version`
      )
      if (done === undefined) throw new Error('done before')
    }
    return reply.headers(noStore).send(pair)
  })
}

const limits: Record<string, (app: FastifyInstance) => void> = {
  bare: (app) => { app.get('/session', session, (_request, reply) => answerSession(reply)) },
  /** All routes of a person's day. */
  day (app) {
    const answerPair = (_request: FastifyRequest, reply: FastifyReply) => reply.headers(noStore).send(pair)
    limits['bare']!(app)
    app.post('/token', taking(Type.Object({ username: Type.String(), password: Type.String() })), answerPair)
    app.post('/totp/login', taking(Type.Object({ token: Type.String() })), answerPair)
    app.post('/token/refresh', taking(Type.Object({ refresh: Type.String() })), answerPair)
    app.post('/token/revoke', (_request, reply) => reply.code(204).send())
  },
  jwt (app) {
    app.register(fastifyJwt, { secret: Buffer.from(secret, 'base64url') })
    app.get('/session', { ...session, onRequest: (request) => request.jwtVerify() }, (_request, reply) => answerSession(reply))
  },
  refusing (app) {
    const body = {
      statusCode: 429,
      code: 'OTP_LOCKED',
      error: 'Too Many Requests',
      message: 'Too many wrong codes. Try again later.',
      retryAfterSeconds: 60
    }
    app.post(
      '/totp/login',
      { schema: { body: Type.Object({ token: Type.String() }), response: { 429: Refused } } },
      (_request, reply) => reply.code(429).headers({ ...noStore, 'retry-after': '60' }).send(body)
    )
  },
  /** An app with its own sessions and the plugin attached: its own route, and the same route behind the guard. */
  host (app) {
    const answer = { schema: { response: { 200: Type.Object({ userId: Type.String() }) } } }
    const requester = ({ headers: { authorization = '' } }: FastifyRequest) => {
      const [userId = '', sessionId = ''] = authorization.slice('Bearer '.length).split('.')
      return { userId, sessionId }
    }
    app.register(countersign, {
      issuer: 'Bench',
      sealKeys: `bench:${secret}`,
      database: databaseUrl,
      redis: new Redis(redisUrl),
      identify: requester,
      label: (userId) => userId,
      complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} })
    })
    app.get('/own', answer, async (request) => ({ userId: requester(request).userId }))
    app.register(async (scope) => {
      scope.get('/guarded', { ...answer, preHandler: scope.otpVerified }, async ({ countersign }) => ({ userId: countersign!.userId }))
    })
  },
  'two updates': (app) => { updating(app, '/totp/login', 2) },
  'one update': (app) => { updating(app, '/token/refresh', 1) }
}

const app = Fastify()
limits[process.argv[2] ?? '']!(app)
await app.listen({ port: 0, host: '127.0.0.1' })
process.send!((app.server.address() as AddressInfo).port)
process.once('disconnect', () => process.exit())
