import { randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import countersign, { namedSchemas, type CountersignOptions } from '../../plugins/countersign.js'
import { openPool } from './database.js'
import type { Owner } from './teardown.js'

/*
 * An app that is unlike the service, with the plugin attached: sessions in a cookie, users with numeric ids in its own table,
 * all routes under /app, a router that ignores case and trailing slashes, an Ajv that coerces, an error handler with another
 * shape, and an `endSessions` that always fails.
 */

/** Prefix of the service's routes at this host. */
const PREFIX = '/app/2fa'
const PATHS: ReadonlyArray<readonly [service: RegExp, host: string]> = [
  [/^\/totp\//, `${PREFIX}/`],
  [/^\/session(?=$|\?)/, '/app/inside'],
  [/^\/account(?=$|\?)/, '/app/inside'],
  [/^\/token\/refresh$/, '/app/still-there']
]

export const hostPath = (url: string): string => PATHS.reduce((path, [service, host]) => path.replace(service, host), url)

/** Returns the session's id. The rest of the cookie is the proven factors, for the tests only. */
export const sessionIdOf = (cookie: string): string => cookie.split('.')[0] ?? ''

interface HostUser { id: number, name: string, salt: Buffer, hash: Buffer }

export interface HostSettings {
  databaseUrl: string
  redisUrl: string | undefined
  /** Required options, and options that a test changes. */
  options: Pick<CountersignOptions, 'issuer' | 'sealKeys' | 'namespace'> & Partial<CountersignOptions>
}

export async function buildHost (t: Owner, { databaseUrl, redisUrl, options }: HostSettings): Promise<FastifyInstance> {
  const app = Fastify({
    routerOptions: { ignoreTrailingSlash: true, caseSensitive: false },
    ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all', useDefaults: true } }
  })
  const pool = openPool(databaseUrl, { max: 4, connectionTimeoutMillis: 10_000, query_timeout: 10_000 })
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl, { lazyConnect: true })
  redis?.on('error', () => {})
  app.addHook('onClose', async () => {
    redis?.disconnect()
    await pool.end()
  })
  await pool.query(`
    create table if not exists host_user (id serial primary key, name text unique not null, salt bytea not null, hash bytea not null);
    create table if not exists host_session (id text primary key, user_id int not null, given_at timestamptz not null,
      is_over boolean not null default false);
    create or replace view account as select id, name as username, null::text as email from host_user`)
  await countersign.migrate(pool)

  app.setErrorHandler((
    error: Error & { statusCode?: number, code?: string, headers?: Record<string, string>, details?: object }, _request, reply
  ) => {
    void reply.code(error.statusCode ?? 500).headers(error.headers ?? {}).send({
      problem: error.message,
      code: error.code ?? 'INTERNAL_ERROR',
      ...error.details,
      retryAfterSeconds: Number(error.headers?.['retry-after'] ?? 0)
    })
  })

  const userNamed = async (name: string) => (await pool.query<HostUser>('select * from host_user where name = $1', [name])).rows[0]
  const isRight = ({ salt, hash }: HostUser, password: string) => timingSafeEqual(scryptSync(password, salt, 32, { N: 1024 }), hash)
  async function begin (userId: number, givenAt: Date | null): Promise<string> {
    const id = randomUUID()
    await pool.query(
      'insert into host_session (id, user_id, given_at) values ($1, $2, coalesce($3, clock_timestamp()))', [id, userId, givenAt]
    )
    return id
  }
  const cookieOf = (request: FastifyRequest) => /(?:^|; )host=([^;]+)/.exec(request.headers.cookie ?? '')?.[1] ?? ''
  async function find (request: FastifyRequest) {
    const found = await pool.query<{ user_id: number, given_at: Date }>(
      'select user_id, given_at from host_session where id = $1 and not is_over', [sessionIdOf(cookieOf(request))]
    )
    return found.rows[0]
  }

  const security = [{ cookie: [] }]
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', components: { securitySchemes: { cookie: { type: 'apiKey', in: 'cookie', name: 'host' } } } },
    hideUntagged: true,
    transformObject: (document) => namedSchemas(document as { openapiObject: object })
  })
  await app.register(countersign, {
    database: pool,
    ...(redis === undefined ? {} : { redis }),
    prefix: PREFIX,
    security,
    async identify (request) {
      const session = await find(request)
      if (session === undefined) return null
      return {
        userId: String(session.user_id),
        sessionId: sessionIdOf(cookieOf(request)),
        authTime: Math.floor(session.given_at.getTime() / 1000)
      }
    },
    async label (userId) {
      const { rows: [user] } = await pool.query<{ name: string }>('select name from host_user where id = $1', [Number(userId)])
      return user!.name
    },
    async checkPassword (_request, userId, password) {
      const { rows: [user] } = await pool.query<HostUser>('select * from host_user where id = $1', [Number(userId)])
      if (user === undefined || !isRight(user, password)) {
        throw Object.assign(new Error('No.'), { statusCode: 403, code: 'REAUTH_REQUIRED' })
      }
    },
    async complete (request, reply, session) {
      const isSame = session.sessionId === sessionIdOf(cookieOf(request))
      const { rows: [before] } = await pool.query<{ given_at: Date }>(
        'select given_at from host_session where id = $1', [sessionIdOf(cookieOf(request))]
      )
      const sessionId = isSame ? session.sessionId : await begin(Number(session.userId), before!.given_at)
      const claims = {
        sub: session.userId,
        sid: sessionId,
        otp_device_id: session.deviceId,
        otp_time: session.otpTime,
        ...(session.phrTime == null ? {} : { phr_time: session.phrTime, acr: 'phr' }),
        amr: session.amr,
        otp_required: session.otpRequired
      }
      const cookie = `${sessionId}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
      void reply.header('set-cookie', `host=${cookie}; Path=/; HttpOnly; SameSite=Strict`)
      return { sessionId, answer: { access: cookie } }
    },
    // The plugin's session ends even if the host's session does not.
    async endSessions () { throw new Error('the host does not do it') },
    ...options
  })

  app.post<{ Body: { username: string, password: string } }>('/app/join', async (request, reply) => {
    const salt = randomBytes(8)
    await pool.query(
      'insert into host_user (name, salt, hash) values ($1, $2, $3)',
      [request.body.username, salt, scryptSync(request.body.password, salt, 32, { N: 1024 })]
    )
    return await reply.code(201).send({})
  })
  app.post<{ Body: { username: string, password: string } }>('/app/enter', async (request, reply) => {
    const user = await userNamed(request.body.username)
    if (user === undefined || !isRight(user, request.body.password)) return await reply.code(401).send({ code: 'CREDENTIALS_INVALID' })
    const id = await begin(user.id, null)
    const claims = { sub: String(user.id), sid: id, otp_device_id: null, otp_time: null, amr: ['pwd'] }
    return { access: `${id}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}` }
  })
  app.post('/app/leave', async (request, reply) => {
    await pool.query('update host_session set is_over = true where id = $1', [sessionIdOf(cookieOf(request))])
    return await reply.code(204).send()
  })
  app.get('/app/healthy', async (_request, reply) => {
    const isUp = app.countersign.isReady() && await pool.query('select').then(() => true, () => false)
    return await reply.code(isUp ? 200 : 503).send({ redis: redis?.status === 'ready' ? 'up' : 'down' })
  })
  app.post('/app/still-there', { preHandler: app.countersign.session }, async () => ({}))
  const inside = async ({ countersign }: FastifyRequest, _reply: FastifyReply) => ({ ...countersign })
  app.get<{ Querystring: { required?: string, maxAge?: string, phishingResistant?: string } }>('/app/inside', {
    schema: { operationId: 'session', tags: ['Inside'], security },
    preHandler (request, reply, done) {
      const { required, maxAge, phishingResistant } = request.query
      const guard = required === undefined && maxAge === undefined && phishingResistant === undefined
        ? app.otpVerified
        : app.otpVerified({
          required: required !== undefined,
          phishingResistant: phishingResistant !== undefined,
          ...(maxAge === undefined ? {} : { maxAge: Number(maxAge) })
        })
      guard.call(app, request, reply, done)
    }
  }, inside)
  t.teardown(() => app.close())
  await app.ready()
  return app
}
