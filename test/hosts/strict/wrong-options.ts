/* Each of these lines must be a compiler error; a line without an error fails the compilation. */
import countersign, { otpVerified, type CountersignOptions } from 'countersign'
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
// @ts-expect-error a user's id must not be a number
export const numeric: CountersignOptions = { ...right, identify: () => ({ userId: 7, sessionId: 'x' }) }
// @ts-expect-error a session's id is missing
export const half: CountersignOptions = { ...right, identify: () => ({ userId: '7' }) }
// @ts-expect-error complete must return the session's new id
export const nowhere: CountersignOptions = { ...right, complete: () => ({ answer: {} }) }
// @ts-expect-error an object that is no database client
export const client: CountersignOptions = { ...right, database: new Date() }
// @ts-expect-error a variable of the environment may be missing
export const environment: CountersignOptions = { ...right, sealKeys: process.env['SEAL_KEYS'] }
// @ts-expect-error settings are numbers
export const text: CountersignOptions = { ...right, settings: { window: '1' } }
// @ts-expect-error required options are missing
export const missing: CountersignOptions = { issuer: 'Acme', sealKeys: '2026:…' }
// @ts-expect-error the guard has no such option
app.get('/', { preHandler: otpVerified({ maximumAge: 300 }) }, async () => ({}))
// @ts-expect-error a schema's name must be text
export const migrated = countersign.migrate('postgres://db.example.org/acme', { schema: 7 })
// @ts-expect-error a clock is moved by a number
export const moved = (await memoryDatabase()).advance('30')
