import t from 'tap'
import { freshApp, type App } from '../../helpers/app.js'
import { stepAt, totp } from '../../helpers/authenticator.js'
import { bringOver, djangoDump, people } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { addPasskey, use } from '../../helpers/passkeys.js'
import { expect, Person } from '../../helpers/person.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

/** Recovery codes of django-otp have 40 bits: they count against the budget of the app's digits (T10, R1). */
const { app, db, clock, another } = await freshApp(t)
const replica = await another()
const dump = await djangoDump(t)
await bringOver(app, dump.url)

const WRONG = 'aaaaaaaa'
const person = (name: string) => people.find(({ username }) => username === name)!

async function loggedIn (name: string, at: App = app): Promise<Person> {
  const { username, password } = person(name)
  const session = new Person({ app: at, username, password: password!, phone: { lastStep: 0 } })
  expect(200, await session.login())
  return session
}

async function failuresOf (name: string): Promise<number> {
  const [row] = await db.query<{ failures: number }>(`
    select failures from otp_user u join account a on a.id::text = u.user_id where username = $1`, [name])
  return row!.failures
}

const codeOf = async (name: string) => totp(Buffer.from(person(name).devices[0]!.hex, 'hex'), stepAt(await clock.now()))

/** Waits until the process has forgotten the lock, which it remembers for at most a second. */
const unlocked = (ask: () => Promise<{ statusCode: number }>) =>
  until('the lock to be forgotten', async () => (await ask()).statusCode !== 429)

t.test('T10 sixty guesses at once over two replicas: five are judged', async (t) => {
  const sessions = await Promise.all(Array.from({ length: 6 }, (_, i) => loggedIn('user001', i % 2 === 0 ? app : replica)))
  const guess = (i: number) => `${WRONG.slice(0, 6)}${'abcdefghij'[i % 10]}${'abcdefgh'[i % 8]}`
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => sessions[i % 6]!.recover(guess(i))))
  const codes = answers.map((answer) => answer.json().code)
  t.equal(codes.filter((code) => code === 'RECOVERY_CODE_INVALID').length, 5)
  t.equal(codes.filter((code) => code === 'OTP_LOCKED').length, 55)
  t.equal(await failuresOf('user001'), 5)
  const events = await db.query(`
    select kind from otp_event e join account a on a.id::text = e.user_id
    where username = 'user001' and kind in ('recovery_refused', 'otp_locked')`)
  t.equal(events.length, 5, 'each that was judged is in the user\'s log')

  const right = person('user001').recoveryCodes[0]!
  const session = await loggedIn('user001')
  t.match((await session.recover(right)).json(), { code: 'OTP_LOCKED', statusCode: 429 }, 'T11 a right one gets the same answer')
  t.equal((await session.verify(await codeOf('user001'))).json().code, 'OTP_LOCKED', 'one budget with the app\'s digits')
  t.equal((await db.query('select 1 from otp_recovery_code where used_at is not null')).length, 0, 'nothing was used up')

  await clock.advance(61)
  const later = await loggedIn('user001')
  await unlocked(() => later.recover(right))
  t.equal((await later.request('GET', '/session?required')).statusCode, 200)
  t.equal(await failuresOf('user001'), 0, 'using one clears the counter')
})

t.test('R2 one code, sixty times at once: one success', async (t) => {
  const sessions = await Promise.all(Array.from({ length: 6 }, (_, i) => loggedIn('user008', i % 2 === 0 ? app : replica)))
  const right = person('user008').recoveryCodes[0]!
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => sessions[i % 6]!.recover(right)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  const used = await db.query(`
    select 1 from otp_recovery_code c join account a on a.id::text = c.user_id
    where username = 'user008' and used_at is not null`)
  t.equal(used.length, 1)
})

t.test('T11 on a verified session five wrong ones end it, and spend nothing of the user\'s', async (t) => {
  const session = await loggedIn('user013')
  const device = person('user013').recoveryCodes[0]!
  expect(200, await session.recover(device))
  for (let i = 1; i < 5; i++) t.equal((await session.recover(WRONG)).json().code, 'RECOVERY_CODE_INVALID')
  t.equal((await session.recover(WRONG)).json().code, 'SESSION_ENDED')
  t.equal((await session.request('GET', '/totp/status')).statusCode, 401)
  t.equal(await failuresOf('user013'), 0)
})

t.test('codes of our own stay unlocked; new ones end the weakness', async (t) => {
  const session = await loggedIn('user012')
  expect(200, await session.verify(await codeOf('user012')))
  t.match((await session.request('GET', '/totp/status')).json(), { recoveryCodesLeft: 5, recoveryCodesWeak: true })
  const strong = expect(201, await session.request('POST', '/totp/recovery_code/create')).json<string[]>()
  t.match((await session.request('GET', '/totp/status')).json(), { recoveryCodesLeft: 5, recoveryCodesWeak: false })

  const other = await loggedIn('user012', replica)
  t.equal((await other.recover(person('user012').recoveryCodes[0])).json().code, 'RECOVERY_CODE_INVALID', 'R3 the old set is dead')
  for (let i = 0; i < 8; i++) t.equal((await other.recover(WRONG)).json().code, 'RECOVERY_CODE_INVALID', 'no attempt without such codes')
  t.equal(await failuresOf('user012'), 0)
  const wrong = totp(Buffer.from(person('user012').devices[0]!.hex, 'hex'), stepAt(await clock.now()) + 9)
  for (let i = 0; i < 5; i++) await other.verify(wrong.slice(0, 5) + String(i))
  t.equal((await other.verify(wrong)).json().code, 'OTP_LOCKED')
  t.equal((await other.recover(strong[0])).statusCode, 200, 'the emergency door is open')
  t.equal(await failuresOf('user012'), 0)
})

t.test('R4 without a device a code of that shape is wrong and costs nobody anything', async (t) => {
  const session = await loggedIn('user004')
  for (let i = 0; i < 8; i++) t.equal((await session.recover(person('user004').recoveryCodes[0])).json().code, 'RECOVERY_CODE_INVALID')
  t.equal(await failuresOf('user004'), 0)
})

t.test('locks and sessions that wrong ones end are counted like those of the app\'s digits', async (t) => {
  const counted = async () => {
    const { body } = await app.inject('/metrics')
    return [/_locks_total (\d+)$/m, /_sessions_ended_total\{reason="spent"\} (\d+)$/m].map((what) => Number(what.exec(body)?.[1] ?? 0))
  }
  const verified = await loggedIn('user003')
  expect(200, await verified.recover(person('user003').recoveryCodes[0]))
  const [locks, spent] = await counted() as [number, number]
  const session = await loggedIn('user003')
  for (let i = 0; i < 5; i++) await session.recover(WRONG)
  t.equal((await session.recover(WRONG)).json().code, 'OTP_LOCKED')
  for (let i = 0; i < 5; i++) await verified.recover(WRONG)
  t.same(await counted(), [locks + 1, spent + 1])
})

t.test('a user who has only passkeys left gets in with one; five wrong ones lock, and the passkey still opens', async (t) => {
  const [first, second, third] = person('user006').recoveryCodes
  const owner = await loggedIn('user006')
  expect(200, await owner.recover(first))
  const passkey = await addPasskey(owner)
  const devices = expect(200, await owner.request('GET', '/totp/devices')).json<Array<{ id: string, kind: string }>>()
  expect(200, await owner.request('DELETE', `/totp/devices/${devices.find(({ kind }) => kind === 'totp')!.id}`))

  const session = await loggedIn('user006')
  t.equal((await session.recover(WRONG)).json().code, 'RECOVERY_CODE_INVALID')
  t.equal(await failuresOf('user006'), 1, 'a guess counts')
  t.match((await session.recover(second)).json(), { recoveryCodesLeft: 3 })
  t.equal((await session.request('GET', '/session?required')).statusCode, 200)
  t.equal(await failuresOf('user006'), 0)

  const guesser = await loggedIn('user006', replica)
  for (let i = 0; i < 5; i++) t.equal((await guesser.recover(WRONG)).json().code, 'RECOVERY_CODE_INVALID')
  t.equal((await guesser.recover(third)).json().code, 'OTP_LOCKED')
  for (let i = 0; i < 4; i++) t.equal((await session.recover(WRONG)).json().code, 'RECOVERY_CODE_INVALID', 'a verified one has its own')
  t.equal((await session.recover(WRONG)).json().code, 'SESSION_ENDED')
  expect(200, await use(guesser, passkey))
})
