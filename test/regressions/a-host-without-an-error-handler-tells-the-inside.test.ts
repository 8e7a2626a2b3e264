import Fastify from 'fastify'
import t from 'tap'
import countersign from '../../plugins/countersign.js'
import { Refusal } from '../../src/core/refusals.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * Most hosts keep Fastify's own error handler, which passes the error to our serializer. The serializer sent messages of
 * PostgreSQL and OpenSSL, with names of tables, columns and settings, to any client.
 */

await need('postgres')
const { url } = await freshDatabase(t)

/** Error that `label` throws. `label` runs before any statement. */
let thrown: () => unknown
const app = Fastify()
const pool = openPool(url)
app.addHook('onClose', () => pool.end())
t.teardown(() => app.close())
await countersign.migrate(pool)
await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: freshKeys()['SEAL_KEYS']!,
  database: pool,
  identify: () => ({ userId: 'ada', sessionId: 's' }),
  label: async () => { throw await thrown() },
  complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} })
})

const SECRET = 'of the inside'
const withStatus = (statusCode: number) => () => Object.assign(new Error(SECRET), { statusCode, code: SECRET })

/** [error, status, code] */
const faults: ReadonlyArray<readonly [string, () => unknown, number, string]> = [
  ['by PostgreSQL', () => pool.query(`select "${SECRET}"`).catch((error: unknown) => error), 500, 'INTERNAL_ERROR'],
  ['by Node', () => Object.assign(new Error(SECRET), { code: SECRET }), 500, 'INTERNAL_ERROR'],
  ['with a status', withStatus(503), 503, 'INTERNAL_ERROR'],
  ['by the host, for the client', withStatus(418), 418, SECRET],
  ['by us', () => new Refusal('UNAVAILABLE'), 503, 'UNAVAILABLE'],
  ['by us, for the client', () => new Refusal('NOT_FOUND'), 404, 'NOT_FOUND']
]

for (const [by, fault, status, code] of faults) {
  t.test(`E1 an error that was thrown ${by}: a 5xx tells nothing that is not in our table`, async (t) => {
    thrown = fault
    const answer = await app.inject({ method: 'POST', url: '/totp/create', payload: {} })
    t.equal(answer.statusCode, status)
    t.match(answer.json(), { statusCode: status, code, error: String, message: String })
    t.equal(answer.body.includes(SECRET), code === SECRET, answer.body)
  })
}
