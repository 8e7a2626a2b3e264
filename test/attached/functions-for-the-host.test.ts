import type { FastifyError, FastifyInstance } from 'fastify'
import t from 'tap'
import { isRefusal } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const sealKeys = freshKeys()['SEAL_KEYS']!
/** Repeats a call that waited too long for one of the few connections. */
async function insist (call: () => Promise<void>): Promise<void> {
  await call().catch(async (error: unknown) => {
    if (!isRefusal(error) || error.code !== 'UNAVAILABLE') throw error
    await insist(call)
  })
}

/** Sessions whose connection was closed, by instance. */
const closed: string[] = []
const routes = (of: string) => (app: FastifyInstance) => {
  app.get('/invoices', { preHandler: app.otpVerified }, async () => ({}))
  app.get('/stream', { preHandler: app.countersign.session }, async (request) => {
    app.countersign.onEnd(request, () => { closed.push(`${request.countersign!.sessionId} at ${of}`) })
    return {}
  })
  app.get('/short', { preHandler: app.countersign.session }, async (request) => {
    app.countersign.onEnd(request, () => { closed.push('short') })()
    return {}
  })
}
const host = await plainHost(t, { options: { sealKeys, session: '/session' }, after: routes('one') })
const { app, ask, enrol, db } = host
const replica = await plainHost(t, { options: { sealKeys }, after: routes('two'), db })
const both = async (who: { user: string, session: string }) => {
  await replica.app.countersign.catchUp()
  return [outcome(await ask(who, 'GET', '/invoices')), outcome(await replica.ask(who, 'GET', '/invoices'))]
}

t.test('status and factors of a user, without a request', async (t) => {
  t.same(await app.countersign.status('nobody'), { isOtpEnabled: false, methods: [], recoveryCodesLeft: 0 })
  t.same(await app.countersign.factors('nobody'), [])
  await enrol('ada')
  t.same(await app.countersign.status('ada'), { isOtpEnabled: true, methods: ['totp', 'recovery_code'], recoveryCodesLeft: 5 })
  t.match(await app.countersign.factors('ada'), [{ id: String, kind: 'totp', name: 'Authenticator', createdAt: Date }])
})

t.test('endSession: at log-out, on every replica, and for a session that was never seen here', async (t) => {
  const { verified } = await enrol('bob')
  t.same(await both(verified), ['200', '200'])
  await app.countersign.endSession('bob', verified.session)
  t.same(await both(verified), ['401 SESSION_ENDED', '401 SESSION_ENDED'])
  await app.countersign.endSession('bob', 'never seen')
  await app.countersign.endSession('bob', 'never seen')
  t.same(await both({ user: 'bob', session: 'never seen' }), ['401 SESSION_ENDED', '401 SESSION_ENDED'])
  t.same(await both({ user: 'cyd', session: 'never seen' }), ['200', '200'], 'ids are the user\'s own')
  const kinds = await db.query('select kind from countersign.otp_event where user_id = $1 order by at', ['bob'])
  t.same(kinds.at(-1), { kind: 'logged_out' })
  t.equal(kinds.filter(({ kind }) => kind === 'logged_out').length, 1)
})

t.test('a session that is registered while it is ended comes out ended, fifty times', async (t) => {
  const racers = Array.from({ length: 50 }, (_, n) => ({ user: 'dan', session: `racer ${n}` }))
  await Promise.all(racers.flatMap((racer, n) => [
    (n % 2 === 0 ? host : replica).ask(racer, 'GET', '/invoices'), insist(() => app.countersign.endSession('dan', racer.session))
  ]))
  for (const racer of racers) t.same(await both(racer), ['401 SESSION_ENDED', '401 SESSION_ENDED'])
})

t.test('endSessions: all, or all but one', async (t) => {
  const { verified } = await enrol('eve')
  const others = [{ user: 'eve', session: 'second' }, { user: 'eve', session: 'third' }]
  for (const other of others) t.equal(outcome(await ask(other, 'GET', '/invoices')), '403 OTP_REQUIRED')
  await app.countersign.endSessions('eve', { except: verified.session })
  for (const other of others) t.same(await both(other), ['401 SESSION_ENDED', '401 SESSION_ENDED'])
  t.same(await both(verified), ['200', '200'])
  await app.countersign.endSessions('eve')
  t.same(await both(verified), ['401 SESSION_ENDED', '401 SESSION_ENDED'])
  t.equal((await app.countersign.status('eve')).isOtpEnabled, true, 'factors stay')
})

t.test('ids that are none are refused', async (t) => {
  for (const id of ['', undefined, null, 7, 'x'.repeat(256), 'nul\0'] as string[]) {
    for (const call of [
      () => app.countersign.status(id), () => app.countersign.factors(id), () => app.countersign.endSession(id, 'one'),
      () => app.countersign.endSession('ada', id), () => app.countersign.endSessions(id),
      () => app.countersign.reset(id, { actorId: 'support', reason: 'lost' }), () => app.countersign.forget(id)
    ] as Array<() => Promise<unknown>>) await t.rejects(call().then(() => {}), { message: /^countersign: / }, String(id))
    if (id !== undefined && id !== null) await t.rejects(app.countersign.endSessions('ada', { except: id }))
  }
})

t.test('reset and exportFactors do nothing without an actor and a reason', async (t) => {
  await enrol('max')
  const missing = [undefined, {}, { actorId: 'support' }, { actorId: 'support', reason: ' ' }, { actorId: 1, reason: 'lost' }]
  for (const by of missing as never[]) {
    await t.rejects(app.countersign.reset('max', by), TypeError, JSON.stringify(by))
  }
  const exported = app.countersign.exportFactors({ actorId: 'support', reason: '', userId: 'max' })
  await t.rejects(exported[Symbol.asyncIterator]().next(), TypeError)
  t.match(await app.countersign.status('max'), { isOtpEnabled: true, recoveryCodesLeft: 5 })
  t.same(await db.query("select 1 from countersign.otp_event where user_id = 'max' and kind in ('otp_reset', 'exported')"), [])
})

t.test('onEnd: a connection of a session hears of its end, at every replica, once', async (t) => {
  const fay = { user: 'fay', session: 'f' }
  t.equal(outcome(await ask(fay, 'GET', '/stream')), '200')
  t.equal(outcome(await replica.ask(fay, 'GET', '/stream')), '200')
  t.equal(outcome(await ask(fay, 'GET', '/short')), '200')
  await app.countersign.endSession('fay', 'f')
  t.same(closed, ['f at one'], 'at once where it was ended')
  await until('the replica to hear of it', () => closed.length === 2)
  t.same(closed, ['f at one', 'f at two'])
})

t.test('onEnd: a second factor that is confirmed ends the streams of the other sessions, and of the asking one', async (t) => {
  closed.length = 0
  t.equal(outcome(await ask({ user: 'gus', session: 'tab' }, 'GET', '/stream')), '200')
  t.equal(outcome(await replica.ask({ user: 'gus', session: "gus's first" }, 'GET', '/stream')), '200')
  await enrol('gus')
  await until('both to close', () => closed.length === 2)
  t.same(closed.sort(), ["gus's first at two", 'tab at one'])
})

t.test('onEnd: a session that expires, and one that ended before the call', async (t) => {
  closed.length = 0
  const hal = { user: 'hal', session: 'h' }
  t.equal(outcome(await ask(hal, 'GET', '/stream')), '200')
  await db.query("update countersign.otp_session set expires_at = now() + interval '1 hour' where user_id = 'hal'")
  await db.clock.advance(31 * 86_400)
  await app.countersign.catchUp()
  t.same(closed, ['h at one'])

  const late: string[] = []
  const ended = await plainHost(t, {
    options: { sealKeys },
    db,
    after (app) {
      app.get('/late', { preHandler: app.countersign.session }, async (request) => {
        await app.countersign.endSession('ivy', 'i')
        app.countersign.onEnd(request, () => { late.push('closed') })
        return {}
      })
    }
  })
  t.equal(outcome(await ended.ask({ user: 'ivy', session: 'i' }, 'GET', '/late')), '200')
  await until('the callback', () => late.length === 1)
})

t.test('onEnd: misuse is told, and an error of the callback is logged', async (t) => {
  t.throws(() => app.countersign.onEnd({ countersign: null } as never, () => {}), TypeError, 'no guard has accepted it')
  t.throws(() => app.countersign.onEnd({} as never, () => {}), TypeError)
  const before = host.lines.length
  const failing = await plainHost(t, {
    options: { sealKeys },
    db,
    after (app) {
      app.get('/failing', { preHandler: app.countersign.session }, async (request) => {
        app.countersign.onEnd(request, () => { throw new Error('closed already') })
        app.countersign.onEnd(request, async () => { throw new Error('closed already') })
        return {}
      })
    }
  })
  t.equal(outcome(await failing.ask({ user: 'jim', session: 'j' }, 'GET', '/failing')), '200')
  await app.countersign.endSession('jim', 'j')
  await until('both to be logged', () => failing.lines.filter((line) => line.includes('closed already')).length === 2)
  t.equal(host.lines.length, before)
})

t.test('session: the guard as an endpoint for a back end beside the app', async (t) => {
  const { verified } = await enrol('kim')
  const { verified: bare } = { verified: { user: 'lee', session: 'l' } }
  const answer = await ask(verified, 'GET', '/session?maxAge=300&required')
  t.match(answer.json(), { userId: 'kim', sessionId: verified.session, otpDeviceId: String, otpTime: Number })
  t.match(answer.headers, { 'x-user-id': 'kim', 'x-otp-verified': 'true', 'cache-control': 'no-store' })
  t.equal(outcome(await ask({ user: 'kim', session: 'other' }, 'GET', '/session')), '403 OTP_REQUIRED')
  t.equal(outcome(await ask(bare, 'GET', '/session')), '200')
  t.equal(outcome(await ask(bare, 'POST', '/session/any/path?required', { any: 'body' })), '403 OTP_REQUIRED')
  t.equal(outcome(await ask(bare, 'GET', '/session?require')), '400 REQUEST_INVALID')
  t.equal(outcome(await app.inject('/session')), '401 TOKEN_INVALID')
  t.equal((await replica.ask(bare, 'GET', '/session')).statusCode, 404, 'without the option it does not exist')
})

t.test('the code of a misspelt demand is in a header, at a host whose error handler sends the status alone', async (t) => {
  const { ask } = await plainHost(t, {
    options: { sealKeys, session: '/session' },
    before: (app) => { app.setErrorHandler((error: FastifyError, _request, reply) => reply.code(error.statusCode ?? 500).send()) }
  })
  for (const url of ['/session?require', '/session?maxAge=x', '/session/x?maxAge=-1']) {
    const answer = await ask({ user: 'kim', session: 'k' }, 'GET', url)
    t.match(answer, { statusCode: 400, body: '', headers: { 'x-refusal': 'REQUEST_INVALID', 'cache-control': 'no-store' } }, url)
  }
})
