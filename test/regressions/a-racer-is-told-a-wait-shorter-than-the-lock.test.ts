import pg from 'pg'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * An attempt that waited for the user's row, and found it locked then, read the end of the lock from its snapshot, which has no
 * lock: Retry-After was 60 s under a lock of an hour. A guess that met the beginning of a window of passwords was told 1 s.
 */

await need('postgres')
const { app, db } = await freshApp(t)

/** Answers a request that waits for a row, while another transaction changes that row. */
async function waitingFor (change: string, values: unknown[], request: () => ReturnType<Person['request']>) {
  const other = new pg.Client(db.url)
  await other.connect()
  try {
    await other.query('begin')
    await other.query(change, values)
    const answer = request()
    await until('the request to wait', async () => await countLockWaits(db.query) > 0)
    await other.query('commit')
    return await answer
  } finally {
    await other.end()
  }
}

/** [name, values of otp_user that the concurrent attempt set, shortest and longest wait, whether only recovery helps] */
const locks = [
  ['ada', "failures = 12, locked_until = clock_timestamp() + interval '3600 s'", 3500, 3600, undefined],
  ['bob', "failures = 100, locked_until = clock_timestamp() + interval '60 s'", 3600, 3600, true],
  ['eve', "failures = 5, locked_until = clock_timestamp() + interval '60 s'", 1, 60, undefined]
] as const

for (const [name, values, least, most, needsRecovery] of locks) {
  t.test(`T10 the wait is that of the lock: ${values}`, async (t) => {
    const owner = await (await signUp(app, name)).enrol()
    const [session] = await sessionsOf(owner, 1)
    const code = await owner.wrongCode()
    const answer = await waitingFor(`update otp_user set ${values} where user_id = $1`, [userId(owner)], () => session!.verify(code))
    t.equal(outcome(answer), '429 OTP_LOCKED')
    const body = answer.json<{ retryAfterSeconds: number, needsRecovery?: boolean }>()
    t.ok(body.retryAfterSeconds >= least && body.retryAfterSeconds <= most, `${body.retryAfterSeconds} s`)
    t.equal(body.needsRecovery, needsRecovery)
  })
}

t.test('a password that meets the beginning of a window waits for its end', async (t) => {
  const owner = await signUp(app, 'guy')
  t.equal(outcome(await owner.login('not the password')), '401 CREDENTIALS_INVALID')
  await db.query("update password_budget set window_started_at = clock_timestamp() - interval '2 hours'")
  const answer = await waitingFor("update password_budget set spent = 10, window_started_at = clock_timestamp() where network <> '*'", [],
    () => owner.login('not the password'))
  t.equal(outcome(answer), '429 RATE_LIMITED')
  const { retryAfterSeconds } = answer.json<{ retryAfterSeconds: number }>()
  t.ok(retryAfterSeconds > 800 && retryAfterSeconds <= 900, `${retryAfterSeconds} s`)
})
