import pg from 'pg'
import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { addPasskey, use } from '../helpers/passkeys.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'
import { countEvents, failuresOf } from '../helpers/stored.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const { app, db, clock, another } = await freshApp(t)
const replica = await another()

t.test('T10 sixty guesses at once, twenty sessions, two replicas: five judged', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const sessions = await sessionsOf(ada, 20, [app, replica])
  const guesses = await ada.wrongCodes(60)
  const answers = await Promise.all(guesses.map((guess, i) => sessions[i % 20]!.verify(guess)))
  t.same(countOutcomes(answers), { '400 OTP_INVALID': 5, '429 OTP_LOCKED': 55 })
  t.equal(await countEvents(db, ada, 'otp_refused', 'otp_locked'), 5, 'five leave an event')
  t.equal(await failuresOf(db, ada), 5)
  for (const answer of answers.filter(({ statusCode }) => statusCode === 429)) {
    const { retryAfterSeconds } = answer.json<{ retryAfterSeconds: number }>()
    if (retryAfterSeconds < 1 || retryAfterSeconds > 60 || answer.headers['retry-after'] !== String(retryAfterSeconds)) t.fail(answer.body)
  }
})

t.test('T10 with the right code among fifty: the budget holds, and the code is accepted once at most', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const sessions = await sessionsOf(bob, 10, [app, replica])
  const right = await bob.nextCode()
  const guesses = await bob.wrongCodes(49)
  guesses.splice(25, 0, right)
  const answers = await Promise.all(guesses.map((guess, i) => sessions[i % 10]!.verify(guess)))
  const { 200: accepted = 0 } = countOutcomes(answers)
  const judged = await countEvents(db, bob, 'otp_refused', 'otp_locked')
  t.ok(accepted <= 1, JSON.stringify(countOutcomes(answers)))
  t.ok(judged <= (accepted === 1 ? 10 : 5), `${judged} judged: five before, and five after a code that was accepted`)
})

t.test('T10 nor does a verified session judge more than five, then it ends', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const twin = eve.at(replica)
  const guesses = await eve.wrongCodes(50)
  const answers = await Promise.all(guesses.map((guess, i) => (i % 2 === 0 ? eve : twin).verify(guess)))
  t.notOk(countOutcomes(answers)['200'])
  const [session] = await db.query<{ failures: number, reason: string }>(
    'select failures, end_reason as reason from otp_session where user_id = $1 and id = $2', [userId(eve), eve.claims()['sid']]
  )
  t.same(session, { failures: 5, reason: 'otp_session_spent' })
  t.equal(outcome(await eve.request('GET', '/session')), '401 SESSION_ENDED')
  t.equal(await failuresOf(db, eve), 0, 'the user\'s own counter is untouched')
  t.equal(outcome(await (await sessionsOf(eve, 1))[0]!.verify()), '200')
})

t.test('T10 a verified session lives on after four wrong codes, and ends with the fifth', async (t) => {
  const flo = await (await signUp(app, 'flo')).enrol()
  const outcomes = []
  for (const guess of await flo.wrongCodes(5)) {
    outcomes.push(outcome(await flo.verify(guess)), outcome(await flo.request('GET', '/session')))
  }
  t.same(outcomes, [...Array(4).fill(['400 OTP_INVALID', '200']).flat(), '401 SESSION_ENDED', '401 SESSION_ENDED'])
})

t.test('T10 a guess that waits for the one which locks is answered as locked', async (t) => {
  const jim = await (await signUp(app, 'jim')).enrol()
  const [session] = await sessionsOf(jim, 1)
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("update otp_user set failures = 5, locked_until = clock_timestamp() + interval '1 minute' where user_id = $1",
    [userId(jim)])
  const waiting = session!.verify(await jim.wrongCode())
  await until('the guess to wait', async () => await countLockWaits(db.query) === 1)
  await other.query('commit')
  t.equal(outcome(await waiting), '429 OTP_LOCKED')
  t.equal(await failuresOf(db, jim), 5)
})

t.test('T10 nor a pending device more than ten, then it is deleted with its codes', async (t) => {
  const gil = await signUp(app, 'gil')
  await gil.login()
  await gil.create()
  for (const [before, status] of [[9, 200], [10, 400]] as const) {
    await db.query('update otp_device set failures = $2 where user_id = $1', [userId(gil), before])
    const { isPending } = (await gil.request('GET', '/totp/status')).json()
    t.equal(isPending, status === 200, `after ${before}`)
    if (status === 400) t.equal((await gil.verify(await gil.code(0))).statusCode, 400, 'the right one as the eleventh is not looked at')
  }

  const fay = await signUp(app, 'fay')
  await fay.login()
  await fay.create()
  const right = await fay.nextCode()
  const guesses = await fay.wrongCodes(50)
  const answers = await Promise.all(guesses.map((guess) => fay.verify(guess)))
  t.notOk(countOutcomes(answers)['200'])
  t.equal(outcome(await fay.verify(right)), '400 OTP_NOT_SET_UP', 'the right code comes too late')
  t.same(await db.query('select from otp_recovery_code where user_id = $1', [userId(fay)]), [])
  t.equal(await failuresOf(db, fay), 0, 'and it counts against nothing else')
  t.equal(await countEvents(db, fay, 'otp_setup_spent'), 1)
})

t.test('T10 the count outlives the process that made it, and goes on from lock to lock', async (t) => {
  const guy = await (await signUp(app, 'guy')).enrol()
  // Three rows of the table in core/lockout.test.ts: the first lock, the next one, and one after a gap.
  await db.query('update otp_user set failures = 4 where user_id = $1', [userId(guy)])
  for (const [failures, seconds] of [[5, 60], [6, 120], [12, 3600]] as const) {
    if (failures === 12) await db.query('update otp_user set failures = 11 where user_id = $1', [userId(guy)])
    const late = await another({ DATABASE_POOL_SIZE: '2' })
    const [session] = await sessionsOf(guy, 1, [late])
    const answers = await Promise.all((await session!.wrongCodes(50)).map((guess) => session!.verify(guess)))
    t.same(countOutcomes(answers), { '400 OTP_INVALID': 1, '429 OTP_LOCKED': 49 }, `attempt ${failures}: one is judged`)
    t.equal(await failuresOf(db, guy), failures)
    const [lock] = await db.query<{ until: Date }>('select locked_until as until from otp_user where user_id = $1', [userId(guy)])
    const leftSeconds = (lock!.until.getTime() - (await clock.now()).getTime()) / 1000
    t.ok(leftSeconds > seconds - 10 && leftSeconds <= seconds, `${leftSeconds} s of ${seconds} are left`)
    await clock.advance(leftSeconds + 0.5)
  }
})

t.test('T14 three hundred wrong codes in thirty days are the last, however often the owner logs in between', async (t) => {
  const hal = await (await signUp(app, 'hal')).enrol()
  const [thief, other] = await sessionsOf(hal, 2, [app, replica])
  const [one, ...guesses] = await hal.wrongCodes(51)
  t.equal(outcome(await thief!.verify(one)), '400 OTP_INVALID')
  await db.query(`update otp_user set wrong_codes_at = array(
    select clock_timestamp() - make_interval(hours => n) from generate_series(400, 104, -1) n
  ) || wrong_codes_at where user_id = $1`, [userId(hal)])
  const owner = hal.elsewhere()
  expect(200, await owner.login())
  t.equal(outcome(await owner.verify()), '200')
  t.equal(await failuresOf(db, hal), 0)
  const answers = await Promise.all(guesses.map((guess, i) => (i % 2 === 0 ? thief! : other!).verify(guess)))
  t.same(countOutcomes(answers), { '400 OTP_INVALID': 2, '429 OTP_LOCKED': 48 }, '298 before, two more are judged')
  t.equal(await countEvents(db, hal, 'otp_stopped'), 1)
  const [late] = await sessionsOf(hal, 1, [replica])
  // One code for all of the questions: each new one would move the clock on, beyond the end of the token.
  const code = await late!.nextCode()
  // A replica remembers for a second a lock that was answered at the moment of the last attempt.
  await until('the answer to name the way out', async () => {
    const answer = await late!.verify(code)
    t.equal(outcome(answer), '429 OTP_LOCKED')
    return answer.json<{ needsRecovery?: boolean }>().needsRecovery === true
  })
  await clock.advance(16 * 86_400)
  const [later] = await sessionsOf(hal, 1)
  // This process caches the stop for a second.
  await until('those of thirty days ago to count no more', async () => (await later!.verify(await hal.code())).statusCode === 200)
})

t.test('T14 wrong codes of more than thirty days ago make no lock a stop, and are kept no longer', async (t) => {
  const kay = await (await signUp(app, 'kay')).enrol()
  const [session, there] = await sessionsOf(kay, 2, [app, replica])
  await db.query(`update otp_user set failures = 6, locked_until = clock_timestamp() + interval '1 minute',
    wrong_codes_at = array(select clock_timestamp() - interval '31 days' from generate_series(1, 300)) where user_id = $1`, [userId(kay)])
  const locked = await session!.verify(await kay.wrongCode(0))
  t.equal(outcome(locked), '429 OTP_LOCKED')
  t.notOk(locked.json<{ needsRecovery?: boolean }>().needsRecovery)
  // This process caches the lock for a second.
  await clock.advance(62)
  t.equal(outcome(await there!.verify(await kay.wrongCode(1))), '400 OTP_INVALID')
  t.equal(await countEvents(db, kay, 'otp_stopped'), 0)
  t.same(await db.query('select cardinality(wrong_codes_at) as n from otp_user where user_id = $1', [userId(kay)]), [{ n: 1 }])
})

t.test('T14 nor does a passkey that the owner uses in between clear them, and no stop holds it up', async (t) => {
  const ivy = await (await signUp(app, 'ivy')).enrol()
  const passkey = await addPasskey(ivy)
  const [first, owner] = await sessionsOf(ivy, 2)
  t.equal(outcome(await first!.verify(await ivy.wrongCode(0))), '400 OTP_INVALID')
  await db.query(`update otp_user set wrong_codes_at = array(
    select clock_timestamp() - make_interval(hours => n) from generate_series(400, 103, -1) n
  ) || wrong_codes_at where user_id = $1`, [userId(ivy)])
  t.equal(outcome(await use(owner!, passkey)), '200')
  t.equal(await failuresOf(db, ivy), 0, 'the lock and the count in a row are over')
  const [thief, later] = await sessionsOf(ivy, 2, [app, replica])
  const answers = await Promise.all((await ivy.wrongCodes(20, 7)).map((guess) => thief!.verify(guess)))
  t.same(countOutcomes(answers), { '400 OTP_INVALID': 1, '429 OTP_LOCKED': 19 }, '299 before, one more is judged')
  t.equal(outcome(await use(later!, passkey)), '200')
  const [late] = await sessionsOf(ivy, 1, [replica])
  t.equal(outcome(await late!.verify(await ivy.code(1))), '429 OTP_LOCKED', 'only a recovery code or staff end the stop')
})
