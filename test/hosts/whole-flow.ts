import type { Test } from 'tap'
import { PERIOD_SECONDS, secretOf, stepAt, totp } from '../helpers/authenticator.js'
import type { TestClock } from '../helpers/clock.js'
import { until } from '../helpers/wait.js'
import type { Answer, Visitor } from './visitor.js'

/** Host as its clients see it. */
export interface Host {
  clock: TestClock
  /** Prefix of the routes of the second factor. */
  prefix: string
  /** The routes behind the guard, with their demands. */
  guarded: ReadonlyArray<{ method: string, path: string, demand: 'plain' | 'fresh' | 'required' }>
  /** Starts a new session of a user by the first factor only. */
  logIn (name: string): Promise<Visitor>
  /** Reads the error code from an answer of this host. */
  codeOf (answer: Answer): unknown
  /** True if the requester's session continues after it was verified. */
  sameSession?: boolean
}

const RACERS = 20
const WRONG_BEFORE_LOCK = 5

/** Tests the behaviour that every host with a second factor must have. */
export async function wholeFlow (t: Test, host: Host): Promise<void> {
  const { clock, prefix, guarded } = host
  const plain = guarded.find(({ demand }) => demand === 'plain')!
  let secret: Buffer
  let recoveryCodes: string[] = []
  let owner = await host.logIn('ada')

  const reach = async (who: Visitor, { method, path } = plain) => (await who.ask(method, path)).status
  const create = async (who: Visitor) => await who.ask('POST', `${prefix}/create`)
  const give = async (who: Visitor, token: unknown) => await who.ask('POST', `${prefix}/login`, { token })
  const recover = async (who: Visitor, token = '') => await who.ask('POST', `${prefix}/recovery_code/login`, { token })
  const status = async (who: Visitor) => (await who.ask('GET', `${prefix}/status`)).json
  /** Returns the next unused code, after moving the clock. */
  async function nextCode (): Promise<string> {
    await clock.advance(PERIOD_SECONDS * 2)
    return totp(secret, stepAt(await clock.now()))
  }
  /** Returns different codes: a code that was refused already is not judged again. */
  async function wrongCodes (count: number): Promise<string[]> {
    const step = stepAt(await clock.now())
    const near = [-2, -1, 0, 1, 2].map((offset) => totp(secret, step + offset))
    const all = Array.from({ length: count + near.length }, (_, i) => String(i * 1111).padStart(6, '0'))
    return all.filter((code) => !near.includes(code)).slice(0, count)
  }
  /** Instances learn of ended sessions within a second. */
  const shutOut = async (who: Visitor) => await until('the session to be refused', async () => await reach(who) === 401)

  await t.test('without a second factor: optional', async (t) => {
    for (const route of guarded) t.equal(await reach(owner, route), route.demand === 'required' ? 403 : 200, route.path)
    t.match(await status(owner), { isOtpEnabled: false, isPending: false, recoveryCodesLeft: 0 })
    t.match(await give(owner, '123456'), { status: 400 })
  })

  await t.test('setting up: two phases, and the first code ends the other sessions', async (t) => {
    const other = await host.logIn('ada')
    const before = owner.copy()
    const begun = await create(owner)
    t.match(begun, { status: 201, json: { otpUrl: /^otpauth:\/\/totp\/Acme:/, recoveryCodes: { length: 5 } } })
    secret = secretOf(begun.json.otpUrl)
    recoveryCodes = begun.json.recoveryCodes
    t.match(await status(owner), { isOtpEnabled: false, isPending: true })
    t.equal(await reach(other), 200, 'a pending device asks nobody for anything')
    for (const notACode of [123456, [totp(secret, stepAt(await clock.now()))], { token: 1 }, null, '', 'abcdef', '１２３４５６']) {
      t.equal((await give(owner, notACode)).status, 400, `no code: ${JSON.stringify(notACode)}`)
    }
    t.match(await give(owner, totp(secret, stepAt(await clock.now()))), { status: 200 })
    t.match(await status(owner), { isOtpEnabled: true, isPending: false, recoveryCodesLeft: 5 })
    for (const route of guarded) t.equal(await reach(owner, route), 200, route.path)
    await shutOut(other)
    if (host.sameSession === true) t.equal(await reach(before), 200, 'the session is the same, copies too: what sameSession costs')
    else await shutOut(before)
  })

  await t.test('an attack with the first factor alone opens no guarded route, and no way to grow', async (t) => {
    const thief = await host.logIn('ada')
    for (const route of guarded) {
      const answer = await thief.ask(route.method, route.path)
      t.match([answer.status, host.codeOf(answer)], [403, 'OTP_REQUIRED'], route.path)
      t.match(answer.headers.get('www-authenticate'), /insufficient_user_authentication/)
    }
    const routes = [['POST', '/create'], ['DELETE', '/delete'], ['POST', '/recovery_code/create'], ['GET', '/devices']] as const
    for (const [method, path] of routes) {
      t.equal((await thief.ask(method, `${prefix}${path}`)).status, 403, path)
    }
    for (const path of ['/create', '/recovery_code/create', '/delete', '/login']) {
      t.equal((await thief.ask('GET', `${prefix}${path}`)).status, 404, `no GET changes anything: ${path}`)
    }
    t.equal((await recover(thief, 'AAAA-AAAA-AAAA-AAAA-AAAA-AAAA')).status, 400)
  })

  await t.test('a code is accepted once: replayed, and by racers', async (t) => {
    const code = await nextCode()
    const first = await host.logIn('ada')
    t.equal((await give(first, code)).status, 200)
    t.equal(await reach(first), 200)
    const replay = await give(await host.logIn('ada'), code)
    t.match([replay.status, host.codeOf(replay)], [400, 'OTP_INVALID'])

    const racers = await Promise.all(Array.from({ length: RACERS }, () => host.logIn('ada')))
    const contested = await nextCode()
    const answers = await Promise.all(racers.map((racer) => give(racer, contested)))
    t.equal(answers.filter(({ status }) => status === 200).length, 1)
    t.equal((await Promise.all(racers.map((racer) => reach(racer)))).filter((status) => status === 200).length, 1)
    owner = racers[answers.findIndex(({ status }) => status === 200)]!
  })

  await t.test('wrong codes lock, for the thief and not for the owner; a recovery code opens, once', async (t) => {
    // The attempts of the racers count for the same account.
    t.equal((await recover(await host.logIn('ada'), recoveryCodes[0])).status, 200)
    const thief = await host.logIn('ada')
    for (const code of await wrongCodes(WRONG_BEFORE_LOCK)) await give(thief, code)
    const right = totp(secret, stepAt(await clock.now()) + 1)
    const locked = await give(thief, right)
    t.match([locked.status, host.codeOf(locked)], [429, 'OTP_LOCKED'])
    t.match(locked.headers.get('retry-after'), /^[1-9][0-9]*$/)
    t.equal(await reach(owner), 200, "the owner's session goes on")

    const lost = await host.logIn('ada')
    const [, code] = recoveryCodes
    t.equal((await recover(lost, code)).status, 200)
    t.equal(await reach(lost), 200)
    t.equal((await recover(await host.logIn('ada'), code)).status, 400)
    t.match(await status(lost), { recoveryCodesLeft: 3 })
    const free = await host.logIn('ada')
    t.equal((await give(free, await nextCode())).status, 200, 'the lock is gone')
    owner = free
  })

  await t.test('what is fresh goes stale, and a step-up makes it fresh again', async (t) => {
    const route = guarded.find(({ demand }) => demand === 'fresh')!
    await clock.advance(301)
    // A visitor asks the host's processes in turn, and each reads the clock four times a second.
    const stale = await until('the proof to be too old everywhere', async () => {
      const answers = [await owner.ask(route.method, route.path), await owner.ask(route.method, route.path)]
      return answers.some(({ status }) => status === 200) ? undefined : answers[0]
    })
    t.match([stale.status, host.codeOf(stale)], [403, 'OTP_STALE'])
    t.equal((await owner.ask('DELETE', `${prefix}/delete`)).status, 403)
    t.equal((await give(owner, await nextCode())).status, 200)
    // A process that remembers the older proof is notified of this one within a second.
    await until('every process to know of the step-up', async () => await reach(owner, route) === 200 && await reach(owner, route) === 200)
  })

  await t.test('removing it ends the other sessions, and asks nobody for a code any more', async (t) => {
    const other = await host.logIn('ada')
    t.equal(await reach(other), 403)
    t.equal((await owner.ask('DELETE', `${prefix}/delete`)).status, 200)
    t.match(await status(owner), { isOtpEnabled: false })
    t.equal(await reach(owner), 200)
    await shutOut(other)
    const again = await host.logIn('ada')
    // The time of the password is by the host's own clock, which has not moved: 'fresh' would be refused here.
    for (const each of guarded.filter(({ demand }) => demand !== 'fresh')) {
      t.equal(await reach(again, each), each.demand === 'required' ? 403 : 200, each.path)
    }
    t.equal((await give(again, await nextCode())).status, 400)
    t.equal((await recover(again, recoveryCodes[2])).status, 400, 'recovery codes are dead with the last device')
  })
}
