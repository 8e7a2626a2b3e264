import Fastify from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { insideOf } from '../../src/attach/inside.js'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { cleanUp } from '../helpers/cleanup.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { askHost, fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * A host that gave no time of the proof was read as "now": each session was fresh when it was first seen. A time in the
 * future was read as the moment of first sight, and as itself once it had passed: fresh again. `otpTime` of a host's token
 * was not checked, so a time in the future was fresh until then.
 */

await need('postgres')
const { clock, anotherHost } = await freshHost(t)
const app = await anotherHost(fromHeaders)
const replica = await anotherHost(fromHeaders)
const nowSeconds = async () => Math.floor((await clock.now()).getTime() / 1000)
const HOUR = 3600
const DAY = 86_400

t.test('T9 a proof of unknown age is fresh for nothing, at first sight too', async (t) => {
  for (const host of [app, replica, app]) {
    const asker = { user: 'ada', session: 'unknown' }
    t.equal(outcome(await askHost(host, asker, 'GET', '/session')), '200')
    for (const maxAge of [1, 60, 300, DAY]) {
      t.equal(outcome(await askHost(host, asker, 'GET', `/session?maxAge=${maxAge}`)), '403 OTP_STALE')
    }
  }
})

t.test('T9 without a time of the proof the first device takes the password', async (t) => {
  const asker = { user: 'bob', session: 'unknown' }
  const requester = await anotherHost({
    ...fromHeaders,
    async checkPassword (_request, _userId, password) {
      if (password !== 'right') throw Object.assign(new Error('No.'), { statusCode: 403, code: 'REAUTH_REQUIRED' })
    }
  })
  for (const body of [{}, { password: 'wrong' }]) {
    t.equal(outcome(await askHost(requester, asker, 'POST', '/totp/create', body)), '403 REAUTH_REQUIRED')
  }
  t.equal(outcome(await askHost(requester, asker, 'POST', '/totp/create', { password: 'right' })), '201')
})

t.test('a host that gives neither is warned, at registration and once at the first such request', async (t) => {
  const warnings = async (options: Partial<CountersignOptions>, at: number | undefined) => {
    const lines: string[] = []
    const log = { level: 'warn', stream: { write: (line: string) => { if (line.includes('authTime')) lines.push(line) } } }
    const host = Fastify({ logger: log })
    const pool = openPool((await freshDatabase(t)).url)
    await countersign.migrate(pool)
    host.addHook('onClose', async () => { await pool.end() })
    t.teardown(() => host.close())
    await host.register(countersign, { ...fromHeaders, issuer: 'Acme', sealKeys: freshKeys()['SEAL_KEYS']!, database: pool, ...options })
    host.get('/guarded', { onRequest: host.otpVerified }, async () => ({}))
    const atStart = lines.length
    for (const session of ['a', 'b', 'a']) {
      await host.inject({
        url: '/guarded', headers: { user: 'cyd', session: `${session} ${at}`, ...(at === undefined ? {} : { at: String(at) }) }
      })
    }
    return [atStart, lines.length]
  }
  t.same(await warnings({}, undefined), [1, 2])
  t.same(await warnings({}, await nowSeconds()), [1, 1])
  t.same(await warnings({ checkPassword: async () => {} }, undefined), [0, 0])
})

/** Seconds by which the host dates the proof ahead. */
const ahead = [1, 30, 299, HOUR, DAY, 40 * DAY, 3000 * 365 * DAY] as const

t.test('T9 a time in the future counts as the moment when it was first seen, also once it has passed', async (t) => {
  const start = await nowSeconds()
  for (const seconds of ahead) {
    const asker = { user: 'dan', session: `ahead ${seconds}`, at: start + seconds }
    for (const host of [app, replica]) {
      t.equal(outcome(await askHost(host, asker, 'GET', '/session?maxAge=300')), '200', `${seconds}: first seen`)
    }
  }
  await clock.advance(310)
  const refused = async (when: string, host = app) => {
    for (const seconds of ahead) {
      const asker = { user: 'dan', session: `ahead ${seconds}`, at: start + seconds }
      t.equal(outcome(await askHost(host, asker, 'GET', '/session?maxAge=300')), '403 OTP_STALE', `${seconds}: ${when}`)
      t.equal(outcome(await askHost(host, asker, 'POST', '/totp/create', {})), '403 REAUTH_REQUIRED', `${seconds}: ${when}`)
    }
  }
  await refused('five minutes later')
  const third = await anotherHost(fromHeaders)
  await insideOf(third).sessions.poll()
  await refused('five minutes later, elsewhere', third)
  await clock.advance(HOUR - 310)
  await refused('an hour later', replica)
  // The session begins again, unverified, and its row would be deleted a week later.
  await clock.advance(31 * DAY)
  for (const seconds of ahead) await askHost(app, { user: 'dan', session: `ahead ${seconds}`, at: start + seconds }, 'GET', '/session')
  await refused('after `sessionSeconds`')
  await clock.advance(39 * DAY)
  await cleanUp(insideOf(app).db, 400)
  for (const seconds of ahead.filter((seconds) => seconds > 71 * DAY)) {
    t.equal(
      outcome(await askHost(app, { user: 'dan', session: `ahead ${seconds}`, at: start + seconds }, 'GET', '/session?maxAge=300')),
      '403 OTP_STALE',
      'after a clean-up'
    )
  }
})

t.test('T9 a proof that is given again within the session, by a clock that is ahead, is fresh once', async (t) => {
  const start = await nowSeconds()
  const at = (seconds: number | null) => ({ user: 'eve', session: 'a', at: seconds })
  const fresh = async (asker: ReturnType<typeof at>, host = app) => outcome(await askHost(host, asker, 'GET', '/session?maxAge=300'))
  t.equal(await fresh(at(start - HOUR)), '403 OTP_STALE')
  t.equal(await fresh(at(start - HOUR), replica), '403 OTP_STALE')
  const fifty = await Promise.all(
    Array.from({ length: 50 }, (_, i) => askHost(i % 2 === 0 ? app : replica, at(start + HOUR), 'GET', '/session?maxAge=300'))
  )
  t.same(countOutcomes(fifty), { 200: 50 })
  await clock.advance(301)
  for (const host of [app, replica]) {
    for (let i = 0; i < 2; i++) {
      t.equal(await fresh(at(start + HOUR), host), '403 OTP_STALE')
      t.equal(await fresh(at(start + HOUR - 10), host), '403 OTP_STALE', 'an older one, between')
      t.equal(await fresh(at(start), host), '403 OTP_STALE', 'one from before')
      t.equal(await fresh(at(null), host), '403 OTP_STALE')
    }
  }
  await clock.advance(HOUR - 300)
  for (const host of [app, replica]) t.equal(await fresh(at(start + HOUR), host), '403 OTP_STALE', 'when it has come')
  t.equal(await fresh(at(start + HOUR + 1)), '200', 'a new one')
})

t.test('T9 the session that replaces it keeps this time too', async (t) => {
  const start = await nowSeconds()
  const asker = { user: 'fay', session: 'a', at: start + HOUR }
  const { otpUrl } = (await askHost(app, asker, 'POST', '/totp/create', {})).json<{ otpUrl: string }>()
  const code = async () => totp(secretOf(otpUrl), stepAt(await clock.now()))
  const { session } = (await askHost(app, asker, 'POST', '/totp/login', { token: await code() })).json<{ session: string }>()
  const removed = await askHost(app, { ...asker, session }, 'DELETE', '/totp/delete')
  const next = { ...asker, session: removed.json<{ session: string }>().session }
  t.equal(outcome(await askHost(app, next, 'GET', '/session?maxAge=300')), '200')
  await clock.advance(301)
  t.equal(outcome(await askHost(app, next, 'GET', '/session?maxAge=300')), '403 OTP_STALE')
  t.equal(outcome(await askHost(app, next, 'POST', '/totp/create', {})), '403 REAUTH_REQUIRED')
})

t.test('T9 the time of the second factor in a token is never newer than the session, and an invalid time is reported', async (t) => {
  const start = await nowSeconds()
  const asker = { user: 'gus', session: 'a', at: start }
  const { otpUrl } = (await askHost(app, asker, 'POST', '/totp/create', {})).json<{ otpUrl: string }>()
  const { session } = (
    await askHost(app, asker, 'POST', '/totp/login', { token: totp(secretOf(otpUrl), stepAt(await clock.now())) })
  ).json<{ session: string }>()
  const at = (otpTime: unknown) => ({ ...asker, session, proven: { otpDeviceId: 'd', otpTime } })
  t.equal(outcome(await askHost(app, at(start - HOUR), 'GET', '/session?maxAge=300')), '403 OTP_STALE', 'a token from before')
  await clock.advance(301)
  for (const otpTime of [start + HOUR, start + 302, 1e11 - 1]) {
    for (const host of [app, replica]) {
      t.equal(outcome(await askHost(host, at(otpTime), 'GET', '/session?maxAge=300')), '403 OTP_STALE', String(otpTime))
    }
  }
  for (const otpTime of ['soon', {}, -1, 1e12, true]) {
    t.equal((await askHost(app, at(otpTime), 'GET', '/session?maxAge=300')).statusCode, 500, JSON.stringify(otpTime))
  }
  for (const otpTime of [NaN, Infinity]) {
    const host = await anotherHost({
      ...fromHeaders, identify: () => ({ userId: 'gus', sessionId: session, authTime: start, proven: { otpDeviceId: 'd', otpTime } })
    })
    t.equal((await askHost(host, asker, 'GET', '/session?maxAge=300')).statusCode, 500, String(otpTime))
  }
  const noTime = await anotherHost({ ...fromHeaders, identify: () => ({ userId: 'gus', sessionId: session, authTime: NaN }) })
  for (let i = 0; i < 2; i++) t.equal((await askHost(noTime, asker, 'GET', '/session')).statusCode, 500, 'also of a session that is known')
})
