import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import type { Test } from 'tap'
import countersign from '../../plugins/countersign.js'
import { secretOf, stepAt, totp } from './authenticator.js'
import type { TestClock } from './clock.js'
import { openPool } from './database.js'
import { freshKeys } from './settings.js'
import type { Owner } from './teardown.js'

export type HostDatabaseKind = 'pool' | 'kysely' | 'address'

/** A host that does not query its database itself: its sessions are headers. */
export async function hostOn (t: Owner, kind: HostDatabaseKind, url: string): Promise<FastifyInstance> {
  const pool = openPool(url, { max: 6 })
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const database = kind === 'address' ? url : kind === 'pool' ? pool : kysely
  await countersign.migrate(database)
  const app = Fastify()
  app.addHook('onClose', () => pool.end())
  await app.register(countersign, {
    issuer: 'Host',
    sealKeys: freshKeys()['SEAL_KEYS']!,
    database,
    identify: ({ headers }) => ({
      userId: String(headers['user']), sessionId: String(headers['session']), authTime: Number(headers['at'])
    }),
    label: (userId) => userId,
    complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: { sessionId } })
  })
  app.get('/inside', { preHandler: app.otpVerified({ maxAge: 300 }) }, ({ countersign }) => ({ ...countersign }))
  t.teardown(() => app.close())
  await app.ready()
  return app
}

/** Runs one user's life: sets up a factor, sends codes, reads lists, uses a recovery code and disables the factor. */
export async function livesAtHost (t: Test, app: FastifyInstance, clock: TestClock): Promise<void> {
  const user = randomUUID()
  const at = String(Math.floor((await clock.now()).getTime() / 1000))
  const call = async (session: string, method: 'GET' | 'POST' | 'DELETE', url: string, body?: object) =>
    await app.inject({ method, url, headers: { user, session, at }, ...(body === undefined ? {} : { payload: body }) })
  const isNow = async (time: string | number, why: string) => {
    t.ok(Math.abs(new Date(time).getTime() - (await clock.now()).getTime()) < 600_000, `${why}: ${String(time)}`)
  }

  t.equal((await call('one', 'GET', '/inside')).statusCode, 200)
  const made = await call('one', 'POST', '/totp/create', {})
  t.equal(made.statusCode, 201, made.body)
  const { otpUrl, expiresAt, recoveryCodes } = made.json<{ otpUrl: string, expiresAt: string, recoveryCodes: string[] }>()
  t.ok(new Date(expiresAt) > await clock.now(), `the set-up: ${expiresAt}`)
  const code = async () => totp(secretOf(otpUrl), stepAt(await clock.now()))
  const confirmed = await call('one', 'POST', '/totp/login', { token: await code() })
  t.equal(confirmed.statusCode, 200, confirmed.body)
  const { sessionId } = confirmed.json<{ sessionId: string }>()
  const inside = await call(sessionId, 'GET', '/inside')
  t.equal(inside.statusCode, 200, inside.body)
  t.type(inside.json().otpTime, 'number')
  await isNow(inside.json().otpTime * 1000, 'the proof')
  await isNow((await call(sessionId, 'GET', '/totp/devices')).json()[0].lastUsedAt, 'the device')

  await clock.advance(30)
  t.equal((await call('two', 'GET', '/inside')).statusCode, 403)
  const token = await code()
  const racers = await Promise.all(Array.from({ length: 8 }, () => call('two', 'POST', '/totp/login', { token })))
  t.equal(racers.filter(({ statusCode }) => statusCode === 200).length, 1, 'one code, eight requests, one winner')
  // On an overloaded machine a loser may be told to come again.
  t.same(racers.filter(({ statusCode, headers }) => statusCode >= 500 && !headers['retry-after']).map(({ body }) => body), [], 'no fault')
  t.equal((await call('three', 'POST', '/totp/recovery_code/login', { token: recoveryCodes[0]! })).statusCode, 200)
  t.equal((await call(sessionId, 'DELETE', '/totp/delete')).statusCode, 200, 'switched off')
  t.equal((await call('four', 'GET', '/totp/status')).json().isOtpEnabled, false)
  t.equal(app.countersign.isReady(), true)
}
