import { randomBytes } from 'node:crypto'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'

await need('postgres')

const [oldKey, newKey] = ['old', 'new'].map((kid) => `${kid}:${randomBytes(32).toString('base64url')}`)
const { app: before, db, another } = await freshApp(t, { SEAL_KEYS: oldKey! })
const during = await another({ SEAL_KEYS: `${newKey},${oldKey}` })

/** Returns the id of the key that sealed a user's device. */
async function kidOf (person: Person): Promise<string | undefined> {
  const [device] = await db.query<{ secret: string }>('select secret from otp_totp where user_id = $1', [userId(person)])
  return device?.secret.split('.')[0]
}
const verifyAt = async (person: Person, app: App) => outcome(await (await sessionsOf(person, 1, [app]))[0]!.verify())

t.test('T6 R7 a new key first, the old one dropped later: every code printed before works after', async (t) => {
  const ada = await (await signUp(before, 'ada')).enrol()
  const bob = await (await signUp(before, 'bob')).enrol()
  t.equal(await kidOf(ada), 'old')

  t.equal(await verifyAt(ada, during), '200', 'the old key still opens')
  t.equal(await kidOf(ada), 'new', 're-sealed on use')
  t.equal(await kidOf(bob), 'old', 'not used yet')

  const eve = await signUp(before, 'eve')
  expect(200, await eve.login())
  expect(201, await eve.create())
  t.equal(await kidOf(eve), 'old')
  const moved = eve.elsewhere(during)
  moved.access = eve.access
  expect(200, await moved.confirm())
  t.equal(await kidOf(eve), 'new', 'confirming is a use: a device that waited through the rotation is re-sealed')

  const [digest] = await db.query<{ sealed: string }>("select sealed from otp_key where name = 'digest'")
  t.match(digest?.sealed, /^new\./, 'so is the key of the recovery codes')

  const after = await another({ SEAL_KEYS: newKey! })
  t.equal(await verifyAt(ada, after), '200')
  t.equal(await verifyAt(eve, after), '200')
  for (const person of [ada, bob, eve]) {
    const [session] = await sessionsOf(person, 1, [after])
    t.equal(
      outcome(await session!.recover(person.recoveryCodes[0]!)),
      '200',
      'recovery codes live, whether or not the device was used meanwhile'
    )
  }
  const [session] = await sessionsOf(bob, 1, [after])
  t.equal(outcome(await session!.verify()), '500 INTERNAL_ERROR', 'a device that no key opens accepts no code; the operator is notified')
  t.equal(outcome(await session!.recover(bob.recoveryCodes[1]!)), '200')
})

t.test('T6 no session is lost meanwhile, and no replica is cut off', async (t) => {
  const fay = await (await signUp(before, 'fay')).enrol()
  for (const app of [before, during, await another({ SEAL_KEYS: newKey! })]) {
    const there = fay.elsewhere(app)
    there.access = fay.access
    t.equal(outcome(await there.request('GET', '/account')), '200')
  }
})
