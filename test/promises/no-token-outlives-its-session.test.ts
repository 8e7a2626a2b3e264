import t from 'tap'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { opened } from '../helpers/jws.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { stores } from '../helpers/stores.js'

const SETTINGS = { ACCESS_SECONDS: '120', REFRESH_SECONDS: '1000', SESSION_SECONDS: '2500', OTP_PENDING_SECONDS: '200' }

const short = await freshApp(t, SETTINGS)
/** An embedded database has one process. */
const replica = (await stores()).databaseUrl === undefined ? undefined : await short.another()
const long = await freshApp(t, { ACCESS_SECONDS: '1000' })

interface Said {
  iat: number
  exp: number
  auth_time: number
  otp_time: number | null
  amr: string[]
  sid: string
  otp_required: boolean
  otp_device_id: string | null
}
const said = (token: string | null) => opened(token ?? '').payload as unknown as Said
const lives = ({ access, refresh }: Person) => [access, refresh].map((token) => said(token).exp - said(token).iat)

/** Returns the claims of the person's newest pair, after a check that both tokens agree about the session. */
function proven ({ access, refresh }: Person): Omit<Said, 'iat' | 'exp'> {
  const [one, other] = [access, refresh].map((token) => {
    const { auth_time: authTime, otp_time: otpTime, amr, sid, otp_required: required, otp_device_id: device } = said(token)
    return { auth_time: authTime, otp_time: otpTime, amr, sid, otp_required: required, otp_device_id: device }
  })
  if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error('the two tokens of one pair differ')
  return one!
}

async function removed (person: Person): Promise<void> {
  const answer = expect(200, await person.request('DELETE', '/totp/delete'))
  Object.assign(person, answer.json())
}

t.test('J3 exp − iat is the setting on every issuing path, or ends with the session', async (t) => {
  const { app, clock } = await emptied(short)
  const ada = await signUp(app)
  const now = async () => Math.floor((await clock.now()).getTime() / 1000)
  const issued = async (what: string, ended: [number, number]) => {
    t.same(lives(ada), ended, what)
    t.ok(Math.abs(said(ada.access).iat - await now()) <= 2, `${what}: by the database's clock`)
  }
  expect(200, await ada.login())
  await issued('log-in', [120, 1000])
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  await issued('confirmation', [120, 1000])
  expect(200, await ada.verify())
  await issued('step-up', [120, 1000])
  expect(200, await ada.refreshTokens())
  await issued('refresh', [120, 1000])
  expect(200, await ada.login())
  await issued('log-in that owes the second factor', [120, 200])
  expect(200, await ada.verify())
  await issued('verification', [120, 1000])
  expect(200, await ada.login())
  expect(200, await ada.recover())
  await issued('recovery', [120, 1000])
  await removed(ada)
  await issued('switching it off', [120, 1000])
})

t.test('J7 a session ends when it idles, and at its absolute limit even if it is in use', async (t) => {
  const { app, clock } = await emptied(short)
  const idler = await signUp(app, 'idler')
  const worker = await signUp(app, 'worker')
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  const startedAt = (await clock.now()).getTime() / 1000
  for (const person of [idler, worker]) expect(200, await person.login())
  let parent = worker.refresh
  for (const seconds of [900, 1800, 2400]) {
    parent = worker.refresh
    await clock.advance(startedAt + seconds - (await clock.now()).getTime() / 1000)
    expect(200, await worker.refreshTokens())
    t.ok(said(worker.refresh).exp <= startedAt + 2500, `after ${seconds} s`)
    t.same(lives(worker), [[120, 1000], [120, 700], [100, 100]][[900, 1800, 2400].indexOf(seconds)])
    if (seconds > 1000) t.equal((await idler.refreshTokens()).statusCode, 401, 'a thousand seconds without a refresh')
  }
  await clock.advance(99)
  t.equal((await worker.request('GET', '/session')).statusCode, 200)
  await clock.advance(1)
  t.equal((await worker.request('GET', '/session')).statusCode, 401)
  t.equal((await worker.refreshTokens()).statusCode, 401)
  t.equal((await worker.refreshTokens(parent)).statusCode, 401, 'nor does the parent of a token that was never used')
  const elsewhere = { method: 'POST', url: '/token/refresh', payload: { refresh: parent } } as const
  if (replica !== undefined) t.equal((await replica.inject(elsewhere)).statusCode, 401, 'at a replica that has not seen the session')
})

t.test('J7 a proof gives a verified session no longer life', async (t) => {
  const { app, clock } = await emptied(short)
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  const ada = await (await signUp(app)).enrol()
  const endsAt = (await clock.now()).getTime() / 1000 + 2500
  for (const seconds of [900, 900, 600]) {
    await clock.advance(seconds)
    expect(200, await ada.refreshTokens())
  }
  expect(200, await ada.verify())
  t.ok(said(ada.refresh).exp <= endsAt, 'a code')
  expect(200, await ada.recover())
  t.ok(said(ada.refresh).exp <= endsAt, 'a recovery code, which replaces the session')
  await clock.advance(endsAt - (await clock.now()).getTime() / 1000)
  t.equal((await ada.request('GET', '/session')).statusCode, 401)
})

t.test('J7 idle to the second', async (t) => {
  const { app, clock } = await emptied(short)
  const [early, late] = [await signUp(app, 'early'), await signUp(app, 'late')]
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  for (const person of [early, late]) expect(200, await person.login())
  await clock.advance(999)
  t.equal((await early.refreshTokens()).statusCode, 200)
  await clock.advance(1)
  t.equal((await late.refreshTokens()).statusCode, 401)
})

t.test('J7 a shorter time to idle holds for the tokens from before', async (t) => {
  if (replica === undefined) return
  const { app, clock } = await emptied(short)
  const ada = await signUp(app)
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  expect(200, await ada.login())
  const shorter = await short.another({ REFRESH_SECONDS: '300' })
  await clock.advance(300)
  t.equal((await ada.at(shorter).refreshTokens()).statusCode, 401)
  t.equal((await ada.refreshTokens()).statusCode, 200, 'where it is as before')
})

t.test('J7 a session that has not given its second factor has 200 s, with or without refresh', async (t) => {
  const { app, clock } = await emptied(short)
  const ada = await (await signUp(app)).enrol()
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  const answer = expect(200, await ada.login()).json<{ otpExpiresAt: string }>()
  t.equal(Date.parse(answer.otpExpiresAt), (await clock.now()).getTime() + 200_000)
  for (const seconds of [100, 60]) {
    await clock.advance(seconds)
    expect(200, await ada.refreshTokens())
    t.equal(said(ada.refresh).exp * 1000, Date.parse(answer.otpExpiresAt))
    t.match(proven(ada), { otp_device_id: null, otp_required: true, amr: ['pwd'] }, 'and gains nothing')
  }
  await clock.advance(40)
  t.equal((await ada.request('GET', '/totp/status')).statusCode, 401)
  t.equal((await ada.refreshTokens()).statusCode, 401)
  t.equal((await ada.verify()).statusCode, 401, 'a right code comes too late')
})

t.test('J4 amr, auth_time and otp_time are true, and refresh carries them as they are', async (t) => {
  const { app, clock } = await emptied(long)
  const ada = await signUp(app)
  const now = async () => Math.floor((await clock.now()).getTime() / 1000)
  const refreshedUnchanged = async (person: Person, what: string) => {
    const before = proven(person)
    await clock.advance(45)
    expect(200, await person.refreshTokens())
    t.same(proven(person), before, `${what}, refreshed`)
  }
  await clock.freeze()
  expect(200, await ada.login())
  const authTime = await now()
  t.match(proven(ada), { amr: ['pwd'], auth_time: authTime, otp_time: null, otp_device_id: null, otp_required: false })
  await refreshedUnchanged(ada, 'a password')

  expect(201, await ada.create())
  expect(200, await ada.confirm())
  const confirmedAt = await now()
  t.match(proven(ada), {
    amr: ['pwd', 'otp', 'mfa'], auth_time: authTime, otp_time: confirmedAt, otp_device_id: ada.deviceId, otp_required: true
  })
  await refreshedUnchanged(ada, 'a code')

  const before = ada.elsewhere()
  Object.assign(before, { access: ada.access, refresh: ada.refresh })
  await clock.advance(400)
  expect(200, await ada.verify())
  t.match(proven(ada), { auth_time: authTime, otp_time: await now(), sid: proven(before).sid }, 'a step-up renews the code\'s time alone')
  expect(200, await before.refreshTokens())
  t.match(proven(before), { otp_time: confirmedAt }, 'a tab that took no part in it stays as old as it was')

  expect(200, await ada.login())
  const secondLogin = await now()
  expect(200, await ada.recover())
  t.match(proven(ada), { amr: ['pwd', 'recovery', 'mfa'], auth_time: secondLogin, otp_time: await now(), otp_device_id: 'recovery' })
  await refreshedUnchanged(ada, 'a recovery code')

  await clock.advance(100)
  await removed(ada)
  t.match(
    proven(ada), { auth_time: secondLogin, otp_device_id: null, otp_required: false }, 'switched off: the password is as old as it was'
  )
  t.notOk(proven(ada).amr.includes('mfa'))
})

t.test('J4 a tab left behind by a step-up is not fresh, nor are its refreshed tokens', async (t) => {
  const { app, clock } = await emptied(long)
  const ada = await (await signUp(app)).enrol()
  const old = { access: ada.access!, refresh: ada.refresh! }
  await clock.advance(250)
  expect(200, await ada.verify())
  await clock.advance(51)
  const asked = async (token: string, on: App = app) =>
    (await on.inject({ url: '/session?maxAge=300', headers: { authorization: `Bearer ${token}` } })).json<{
      code?: string, statusCode?: number
    }>()
  t.match(await asked(ada.access!), { userId: String })
  const child = expect(200, await ada.elsewhere().refreshTokens(old.refresh)).json<{ access: string }>()
  t.match(await asked(child.access), { statusCode: 403, code: 'OTP_STALE' })
})
