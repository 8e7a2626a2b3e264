import t from 'tap'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { call } from '../helpers/http-client.js'
import { startServer } from '../helpers/server-process.js'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { sized } from '../helpers/thorough.js'

const PASSWORD = 'correct horse battery'
/** Each round starts PGlite and checks the data that the killed round before it left. */
const ROUNDS = sized(2, 3)

interface Known { username: string, verified?: { access: string }, code?: { token: string, unverified: string }, isPending?: string }

/** The embedded database under default settings, in a process that is killed at a random moment while it works. */
t.test('O10 O7 answered writes are there after kill -9, and no set-up is half done', { timeout: 90_000 }, async (t) => {
  const folder = await embeddedDataDir(t)
  const known: Known[] = []
  let count = 0

  for (let round = 0; round < ROUNDS; round++) {
    const server = startServer(t, {
      DATA_DIR: folder, NETWORK_LIMITS: 'off', LOG_LEVEL: 'info', ACCESS_SECONDS: '3600', OTP_FRESH_SECONDS: '3600'
    })
    const base = await server.listening()

    for (const { username, verified, code, isPending } of known.splice(0)) {
      const login = await call(base, 'POST', '/token', { body: { username, password: PASSWORD } })
      t.equal(login.status, 200, `${username} was signed up`)
      if (verified === undefined) {
        // The device may be confirmed or not, but never half confirmed.
        const { access, otpRequired } = login.json()
        const status = (await call(base, 'GET', '/totp/status', { access })).json()
        t.same([status.isOtpEnabled, status.recoveryCodesLeft], otpRequired ? [true, 5] : [false, 0], `${username}: all or nothing`)
        if (isPending !== undefined && !otpRequired) {
          t.equal((await call(base, 'GET', '/totp/status', { access: isPending })).json().isPending, true, `${username} can go on`)
        }
        continue
      }
      t.equal(login.json().otpRequired, true, `${username}: the second factor is on`)
      t.equal((await call(base, 'GET', '/account', { access: verified.access })).status, 200, `${username}: the session lives`)
      t.equal((await call(base, 'GET', '/account', { access: code!.unverified })).status, 401, `${username}: the ended one has ended`)
      t.equal(
        (await call(base, 'POST', '/totp/login', { access: login.json().access, body: { token: code!.token } })).status,
        400,
        `${username}: the used code is used`
      )
    }

    const killing = new AbortController()
    const work = Array.from({ length: 4 }, async () => {
      while (!killing.signal.aborted) await live(base, `user${count++}`).catch(() => {})
    })
    const enough = known.length + 3
    const watch = setInterval(() => {
      // Kills within the next request or two.
      if (known.filter(({ verified }) => verified).length < enough || killing.signal.aborted) return
      killing.abort()
      setTimeout(() => { void server.kill('SIGKILL') }, Math.random() * 40)
    }, 5)
    t.equal(await server.exited, null, 'killed')
    clearInterval(watch)
    await Promise.all(work)
  }
  t.ok(count >= ROUNDS * 3)

  /** Signs up, sets up the second factor, and records each answer as it arrives. */
  async function live (base: string, username: string): Promise<void> {
    const ask = async (status: number, path: string, body: object, access?: string) => {
      const answer = await call(base, 'POST', path, access === undefined ? { body } : { body, access })
      t.equal(answer.status, status, path)
      return answer.json()
    }
    await ask(201, '/users', { username, email: `${username}@example.org`, password: PASSWORD })
    const me: Known = { username }
    known.push(me)
    const { access } = await ask(200, '/token', { username, password: PASSWORD })
    const { otpUrl } = await ask(201, '/totp/create', {}, access)
    me.isPending = access
    const token = totp(secretOf(otpUrl), stepAt(new Date()))
    const pair = await ask(200, '/totp/login', { token }, access)
    me.code = { token, unverified: access }
    me.verified = pair
  }
})
