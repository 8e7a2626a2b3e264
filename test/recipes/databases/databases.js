import { randomUUID } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import countersign, { otpVerified } from 'countersign'
import { drizzle } from 'drizzle-orm/node-postgres'
import Fastify from 'fastify'
import knex from 'knex'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { PostgresJSDialect } from 'kysely-postgres-js'
import pg from 'pg'
import postgres from 'postgres'
import { DataSource } from 'typeorm'

const url = process.env.DATABASE_URL

/** What a host has, and how to make `database` of it. `close` is the host's own. */
const hosts = {
  async Drizzle () {
    const db = drizzle(url)
    await db.execute('select 1')
    return { database: db.$client, close: () => db.$client.end() }
  },
  async Prisma () {
    const pool = new pg.Pool({ connectionString: url })
    // new PrismaClient({ adapter })
    const adapter = await new PrismaPg(pool).connect()
    await adapter.executeScript('select 1')
    return { database: pool, close: async () => { await adapter.dispose(); await pool.end() } }
  },
  async TypeORM () {
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize()
    await dataSource.query('select 1')
    return { database: dataSource.driver.master, close: () => dataSource.destroy() }
  },
  async Kysely () {
    const pool = new pg.Pool({ connectionString: url })
    // Countersign sees no pool in an instance. Without a listener, the loss of an idle connection ends the process.
    pool.on('error', (error) => { console.error(error.message) })
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) })
    await sql`select 1`.execute(db)
    return { database: db, close: () => db.destroy() }
  },
  async 'postgres.js' () {
    const client = postgres(url)
    await client`select 1`
    const db = new Kysely({ dialect: new PostgresJSDialect({ postgres: client }) })
    return { database: db, close: () => db.destroy() }
  },
  async Knex () {
    const db = knex({ client: 'pg', connection: url })
    await db.raw('select 1')
    // Its pool is no pool of pg: a small one beside it.
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    return { database: pool, close: async () => { await pool.end(); await db.destroy() } }
  },
  address: async () => ({ database: url, close: async () => {} })
}

for (const [name, open] of Object.entries(hosts)) {
  const { database, close } = await open()
  const schema = `of_${name.replace('.', '_').toLowerCase()}`
  await countersign.migrate(database, { schema })
  const app = Fastify()
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: process.env.SEAL_KEYS,
    database,
    tables: { schema },
    identify: ({ headers: { session } }) => session ? { userId: 'ada', sessionId: session, authTime: Math.floor(Date.now() / 1000) } : null,
    label: (userId) => userId,
    complete: (request, reply, { sessionId }) => ({ sessionId, answer: { session: sessionId } })
  })
  app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
  const ask = async (url, method = 'GET') => (await app.inject({ url, method, headers: { session: randomUUID() } })).statusCode
  const statuses = [await ask('/totp/create', 'POST'), await ask('/totp/status'), await ask('/invoices')]
  await app.close()
  await close()
  console.log(`${name}: ${statuses.join(' ')}`)
}
