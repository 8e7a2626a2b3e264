/* What the compiler must refuse: each of these lines is an error, and one that is none fails the compilation. */
import countersign, { type CountersignOptions } from 'countersign'
import { memoryDatabase } from 'countersign/testing'
import Fastify from 'fastify'

const right: CountersignOptions = {
  issuer: 'Acme',
  sealKeys: '2026:…',
  database: 'postgres://db.example.org/acme',
  identify: () => null,
  label: (userId) => userId,
  complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} })
}
const app = Fastify()

// @ts-expect-error there is no such option
export const unknown: CountersignOptions = { ...right, isuer: 'Acme' }
// @ts-expect-error a number is no user's id
export const numeric: CountersignOptions = { ...right, identify: () => ({ userId: 7, sessionId: 'x' }) }
// @ts-expect-error a session's id is missing
export const half: CountersignOptions = { ...right, identify: () => ({ userId: '7' }) }
// @ts-expect-error complete says where the host went on
export const nowhere: CountersignOptions = { ...right, complete: () => ({ answer: {} }) }
// @ts-expect-error a client is no database
export const client: CountersignOptions = { ...right, database: new Date() }
// @ts-expect-error settings are numbers
export const text: CountersignOptions = { ...right, settings: { window: '1' } }
// @ts-expect-error what is required cannot be left out
export const missing: CountersignOptions = { issuer: 'Acme', sealKeys: '2026:…' }
// @ts-expect-error the guard asks for what it knows
app.get('/', { preHandler: app.otpVerified({ maximumAge: 300 }) }, async () => ({}))
// @ts-expect-error a schema has a name
export const migrated = countersign.migrate('postgres://db.example.org/acme', { schema: 7 })
// @ts-expect-error a clock moves by a number
export const moved = (await memoryDatabase()).advance('30')
