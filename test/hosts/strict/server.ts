import { randomUUID } from 'node:crypto'
import countersign, { otpVerified, type CountersignOptions } from 'countersign'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { z } from 'zod'

interface Tables {
  person: { id: string, email: string }
  login: { token: string, sid: string, person_id: string, at: Date }
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] })
// Without a listener, the loss of an idle connection ends the process. Countersign listens to a pool, but sees none in an instance.
pool.on('error', (error) => { console.error(error.message) })
const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
await db.schema.createTable('person').ifNotExists()
  .addColumn('id', 'uuid', (c) => c.primaryKey()).addColumn('email', 'text', (c) => c.notNull().unique()).execute()
await db.schema.createTable('login').ifNotExists()
  .addColumn('token', 'text', (c) => c.primaryKey()).addColumn('sid', 'text', (c) => c.notNull())
  .addColumn('person_id', 'uuid', (c) => c.notNull()).addColumn('at', 'timestamptz', (c) => c.notNull()).execute()
await countersign.migrate(db)

const app = Fastify().withTypeProvider<ZodTypeProvider>()
app.setValidatorCompiler(validatorCompiler)
app.setSerializerCompiler(serializerCompiler)

/** The token is the client's secret; `sid` is the id of the login. */
async function begin (personId: string, sid: string, at: Date): Promise<{ token: string }> {
  const token = randomUUID()
  await db.insertInto('login').values({ token, sid, person_id: personId, at }).execute()
  return { token }
}

const loginSchema = { body: z.object({ email: z.email() }), response: { 200: z.object({ token: z.string() }) } }
app.post('/login', { schema: loginSchema }, async ({ body: { email } }) => {
  // A real app checks the password here.
  await db.insertInto('person').values({ id: randomUUID(), email }).onConflict((c) => c.doNothing()).execute()
  const { id } = await db.selectFrom('person').select('id').where('email', '=', email).executeTakeFirstOrThrow()
  return await begin(id, randomUUID(), new Date())
})

const options: CountersignOptions = {
  issuer: 'Acme',
  sealKeys: process.env['SEAL_KEYS'] ?? '',
  namespace: 'acme-api',
  prefix: '/me/second-factor',
  database: db,
  async identify ({ headers: { authorization = '' } }) {
    const login = await db.selectFrom('login').selectAll().where('token', '=', authorization.replace(/^Bearer /, '')).executeTakeFirst()
    return login === undefined ? null : { userId: login.person_id, sessionId: login.sid, authTime: Math.floor(login.at.getTime() / 1000) }
  },
  label: async (userId) => (await db.selectFrom('person').select('email').where('id', '=', userId).executeTakeFirstOrThrow()).email,
  complete: async (_request, _reply, { userId, sessionId, authTime }) =>
    ({ sessionId, answer: await begin(userId, sessionId, new Date(authTime * 1000)) }),
  async endSessions (userId, { except }) {
    // Nothing waits for this: a login that begins meanwhile stays.
    await db.deleteFrom('login').where('person_id', '=', userId).where('sid', '!=', except ?? '').where('at', '<=', new Date()).execute()
  }
}
await app.register(countersign, options)

const meSchema = { response: { 200: z.object({ id: z.string() }) } }
app.get('/me', { preHandler: otpVerified(), schema: meSchema }, async (request) => ({ id: request.countersign?.userId ?? '' }))
app.delete('/me', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
app.get('/payouts', { preHandler: otpVerified({ required: true }) }, async () => ({}))

console.log(`listening on ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`)
