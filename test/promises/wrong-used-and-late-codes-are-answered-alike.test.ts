import t from 'tap'
import { bodyOf, outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { addPasskey, answer, challenge } from '../helpers/passkeys.js'
import { recordStatements } from '../helpers/recorded-statements.js'
import { stores } from '../helpers/stores.js'
import type { SoftPasskey } from '../../src/testing/soft-passkey.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'

const ROUNDS = 25
/** Largest difference of the medians. The kinds take turns, so other load affects all alike. */
const NOISE_MS = 4

const { app, db, clock } = await freshApp(t)
await clock.freeze()

type Asked = Awaited<ReturnType<typeof challenge>>

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!
/** Clears the counter and the lock, so that the next code is judged. */
const forgive = (person: Person) => db.query('update otp_user set failures = 0, locked_until = null where user_id = $1', [userId(person)])

t.test('T13 wrong, used, passed over, too early and too late: the same status, body, headers and time', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  await clock.advance(600)
  const [first, ...sessions] = await sessionsOf(ada, ROUNDS + 1)
  const used = await ada.code(0)
  expect(200, await first!.verify(used))
  const kinds = {
    wrong: await ada.wrongCode(),
    used,
    'passed over': await ada.code(-1),
    'too late': await ada.code(-3),
    'too early': await ada.code(4)
  }
  const times = new Map(Object.keys(kinds).map((kind) => [kind, [] as number[]]))
  const answers = new Set<string>()
  for (const [round, session] of sessions.entries()) {
    const inTurn = Object.entries(kinds)
    for (let i = 0; i < inTurn.length; i++) {
      const [kind, code] = inTurn[(i + round) % inTurn.length]!
      if (i % 3 === 0) await forgive(ada)
      const beganAtMs = performance.now()
      const answer = await session.verify(code)
      times.get(kind)!.push(performance.now() - beganAtMs)
      const { date, 'x-request-id': id, ...headers } = answer.headers
      answers.add(`${answer.statusCode} ${bodyOf(answer)} ${JSON.stringify(headers)}`)
    }
  }
  t.equal(answers.size, 1, [...answers].join('\n'))
  t.match([...answers][0], /^400 .*OTP_INVALID/)
  const medians = [...times].map(([kind, taken]) => [kind, median(taken)] as const)
  const all = medians.map(([, ms]) => ms)
  t.ok(Math.max(...all) - Math.min(...all) < Math.max(NOISE_MS, Math.min(...all) / 2), JSON.stringify(medians))
})

t.test('T13 a pending device gives the same answers', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  expect(201, await bob.create())
  const answers = [await bob.verify(await bob.wrongCode()), await bob.verify(await bob.code(-3)), await bob.verify(await bob.code(4))]
  t.equal(new Set(answers.map((answer) => `${answer.statusCode} ${bodyOf(answer)}`)).size, 1)
  t.equal(outcome(answers[0]!), '400 OTP_INVALID')
})

t.test('T13 recovery codes: wrong, used, replaced, another user\'s and no code at all get one answer', async (t) => {
  const [eve, fay] = [await (await signUp(app, 'eve')).enrol(), await (await signUp(app, 'fay')).enrol()]
  const [one, two] = await sessionsOf(eve, 2)
  const old = [...eve.recoveryCodes]
  expect(200, await one!.recover(old[0]!))
  const [session] = await sessionsOf(eve, 1)
  const bodies = new Set<string>()
  for (const code of [old[0]!, fay.recoveryCodes[0]!, '0000-0000-0000-0000-0000-0000', 'nonsense', '', '123456']) {
    const answer = await session!.recover(code)
    bodies.add(`${answer.statusCode} ${bodyOf(answer)}`)
  }
  expect(201, await one!.request('POST', '/totp/recovery_code/create'))
  const [later] = await sessionsOf(eve, 1)
  const replaced = await later!.recover(old[1]!)
  bodies.add(`${replaced.statusCode} ${bodyOf(replaced)}`)
  t.equal(bodies.size, 1, [...bodies].join('\n'))
  t.match([...bodies][0], /^400 .*RECOVERY_CODE_INVALID/)
  t.equal(outcome(await two!.request('GET', '/totp/status')), '401 SESSION_ENDED')
})

/** The same answer with another signature. */
function falsified (given: ReturnType<SoftPasskey['authenticate']>) {
  const signature = Buffer.from(given.response.signature, 'base64url')
  signature[signature.length - 1]! ^= 1
  return { ...given, response: { ...given.response, signature: signature.toString('base64url') } }
}

t.test('K3 passkeys: wrong origin, signature, user or challenge: the same status, body, headers and statements', {
  skip: (await stores()).databaseUrl === undefined && 'no PostgreSQL'
}, async (t) => {
  const gil = await (await signUp(app, 'gil')).enrol()
  const passkey = await addPasskey(gil)
  const [session] = await sessionsOf(gil, 1)
  const kinds: Record<string, (asked: Asked) => object> = {
    'wrong origin': (asked) => passkey.authenticate(asked, { origin: 'https://evil.example' }),
    'wrong signature': (asked) => falsified(passkey.authenticate(asked)),
    'unknown passkey': (asked) => strangers.authenticate({ ...asked, allowCredentials: [{ type: 'public-key', id: strangers.id }] }),
    'wrong challenge': (asked) => passkey.authenticate({ ...asked, challenge: Buffer.alloc(32).toString('base64url') })
  }
  const eve = await signUp(app, 'eve2')
  expect(200, await eve.login())
  const strangers = await addPasskey(eve)
  const answers = new Set<string>()
  const work = new Map<string, string[]>()
  const judge = async (session: Person, kind: string, response: object) => {
    const { statements, stop } = recordStatements(/otp_challenge|otp_passkey/)
    const answered = await answer(session, response).finally(stop)
    work.set(kind, statements)
    const { date, 'x-request-id': id, ...headers } = answered.headers
    answers.add(`${answered.statusCode} ${bodyOf(answered)} ${JSON.stringify(headers)}`)
  }
  for (const [kind, respond] of Object.entries(kinds)) await judge(session!, kind, respond(await challenge(session!)))
  // Its challenge was used up by the answer before.
  const asked = await challenge(session!)
  await answer(session!, passkey.authenticate(asked, { origin: 'https://evil.example' }))
  await judge(session!, 'no challenge', passkey.authenticate(asked))
  t.equal(answers.size, 1, [...answers].join('\n'))
  t.match([...answers][0], /^400 .*PASSKEY_INVALID/)
  const expected = work.get('wrong signature')!
  t.ok(expected.length > 1, 'the statement that consumes and the one that refuses')
  for (const [kind, statements] of work) t.strictSame(statements, expected, kind)
})
