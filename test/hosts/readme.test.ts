/** The README's "Attach it", in an app that has only the parts that it needs. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { blocksAfter } from '../helpers/doc-blocks.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { hostWith, startable } from './host.js'
import { visitorAt } from './visitor.js'
import { wholeFlow } from './whole-flow.js'

await need('postgres')
t.setTimeout(600_000)

const MOST_LINES = 20
const [snippet = ''] = blocksAfter(await readFile('README.md', 'utf8'), 'attach')

const app = `
import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const app = Fastify()
await app.register(jwt, { secret: process.env.JWT_SECRET })
const emailOf = (userId) => userId + '@example.org'
const listInvoices = async () => ({})
const closeAccount = async () => ({})
app.post('/login', async (request) => {
  const claims = { sub: request.body.name, sid: randomUUID(), auth_time: Math.floor(Date.now() / 1000) }
  return { token: app.jwt.sign(claims) }
})
`
const more = `
app.get('/required', { preHandler: otpVerified({ required: true }) }, async () => ({}))
app.get('/fresh', { preHandler: otpVerified({ maxAge: 300 }) }, async () => ({}))
console.log('listening on ' + await app.listen({ port: 0 }))
`

t.test('it is twenty lines, and they hold', async (t) => {
  const lines = snippet.split('\n').filter((line) => line.trim() !== '').length
  t.ok(lines > 10 && lines <= MOST_LINES, `${lines} lines`)
  const project = await hostWith({
    'server.js': `${app}\n${snippet}\n${more}`
  })
  const { clock, start } = await startable(t, project)
  const { base } = await start({ JWT_SECRET: randomBytes(32).toString('hex'), SEAL_KEYS: freshKeys()['SEAL_KEYS']! })
  await wholeFlow(t, {
    clock,
    prefix: '/totp',
    guarded: [
      { method: 'GET', path: '/invoices', demand: 'plain' },
      { method: 'GET', path: '/fresh', demand: 'fresh' },
      { method: 'DELETE', path: '/account', demand: 'required' },
      { method: 'GET', path: '/required', demand: 'required' }
    ],
    async logIn (name) {
      const visitor = visitorAt([base])
      await visitor.ask('POST', '/login', { name })
      return visitor
    },
    codeOf: ({ json }) => json.code
  })
})
