import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { withPhones } from '../helpers/phones.js'
import { until } from '../helpers/wait.js'

/*
 * A password manager sends a form twice. The first request replaced the requester's session. The second was answered 401
 * SESSION_ENDED, and clients dropped the tokens of the first.
 */

await need('postgres')
const { app, clock, another } = await freshApp(t)
const replica = await another()

const NEXT = 'a stapler, a horse, a battery'
type Ask = (person: Person) => ReturnType<Person['request']>
interface Case { name: string, prepare (name: string): Promise<{ person: Person, ask: Ask }>, second: string[] }

const cases: Case[] = [
  {
    name: 'verify',
    second: ['400 OTP_INVALID'],
    async prepare (name) {
      const [person] = await sessionsOf(await (await signUp(app, name)).enrol(), 1)
      const token = await person!.nextCode()
      return { person: person!, ask: (by) => by.request('POST', '/totp/login', { token }) }
    }
  },
  {
    name: 'confirm',
    second: ['400 OTP_INVALID'],
    async prepare (name) {
      const person = await signUp(app, name)
      expect(200, await person.login())
      expect(201, await person.create())
      const token = await person.nextCode()
      return { person, ask: (by) => by.request('POST', '/totp/login', { token }) }
    }
  },
  {
    name: 'confirm-a-further-device',
    second: ['400 OTP_INVALID'],
    async prepare (name) {
      const person = await (await signUp(app, name)).enrol()
      expect(201, await person.create({ name: 'Second' }))
      const token = await person.nextCode()
      return { person, ask: (by) => by.request('POST', '/totp/login', { token }) }
    }
  },
  {
    name: 'recover',
    second: ['400 RECOVERY_CODE_INVALID'],
    async prepare (name) {
      const owner = await (await signUp(app, name)).enrol()
      const [person] = await sessionsOf(owner, 1)
      return { person: person!, ask: (by) => by.request('POST', '/totp/recovery_code/login', { token: owner.recoveryCodes[0]! }) }
    }
  },
  {
    name: 'switch-off',
    second: ['400 OTP_NOT_SET_UP'],
    async prepare (name) {
      return { person: await (await signUp(app, name)).enrol(), ask: (by) => by.request('DELETE', '/totp/delete') }
    }
  },
  {
    name: 'remove-the-verifying-device',
    second: ['404 NOT_FOUND'],
    async prepare (name) {
      const { person, phones } = await withPhones(app, name, 2)
      return { person, ask: (by) => by.request('DELETE', `/totp/devices/${phones[1]!.id}`) }
    }
  },
  {
    name: 'remove-another-device',
    second: ['404 NOT_FOUND'],
    async prepare (name) {
      const { person, phones } = await withPhones(app, name, 2)
      return { person, ask: (by) => by.request('DELETE', `/totp/devices/${phones[0]!.id}`) }
    }
  },
  {
    name: 'remove-the-last-device',
    second: ['404 NOT_FOUND'],
    async prepare (name) {
      const { person, phones } = await withPhones(app, name, 1)
      return { person, ask: (by) => by.request('DELETE', `/totp/devices/${phones[0]!.id}`) }
    }
  },
  {
    name: 'change-the-password',
    // The current password is checked first: for the second request it may be the former one.
    second: ['409 CONFLICT', '403 REAUTH_REQUIRED'],
    async prepare (name) {
      const person = await (await signUp(app, name)).enrol()
      return { person, ask: (by) => by.request('POST', '/account/password', { current: person.password, next: NEXT }) }
    }
  }
]

const at = (person: Person, on = replica) => person.at(on)

for (const { name, prepare, second } of cases) {
  t.test(`${name} twice: the second is refused as a repetition, never as an ended session`, async (t) => {
    for (const [how, by] of [['here', app], ['at another replica', replica]] as const) {
      const { person, ask } = await prepare(`${name}-${by === app ? 1 : 2}`)
      const former = at(person, by)
      expect(200, await former.request('GET', '/totp/status'))
      const answers = await Promise.all([ask(person), ask(former)])
      const refused = answers.filter(({ statusCode }) => statusCode !== 200).map(outcome)
      t.equal(refused.length, 1, `${how}: one of them`)
      t.ok(second.includes(refused[0]!), `${how}: ${refused[0]}`)

      t.ok(second.includes(outcome(await ask(former))), `${how}: once more, when it is over`)
      await until(
        'anything else of that session to be refused',
        async () => outcome(await person.request('GET', '/totp/status')) === '401 SESSION_ENDED',
        1_500
      )
      t.equal(outcome(await person.request('POST', '/token/refresh', { refresh: person.refresh }, null)), '401 SESSION_ENDED')
      await clock.advance(11)
      t.equal(outcome(await ask(person)), '401 SESSION_ENDED', 'and this, too, a moment later')
    }
  })
}

t.test('fifty times at once on two replicas: one is accepted, all others are refused as used', async (t) => {
  const [person] = await sessionsOf(await (await signUp(app, 'fifty')).enrol(), 1)
  const token = await person!.nextCode()
  const counts = countOutcomes(
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => at(person!, i % 2 === 0 ? app : replica).request('POST', '/totp/login', { token }))
    )
  )
  t.equal(counts['200'], 1, JSON.stringify(counts))
  t.same(
    Object.keys(counts).filter((one) => !['200', '400 OTP_INVALID', '503 UNAVAILABLE', '429 OTP_LOCKED'].includes(one)),
    [],
    JSON.stringify(counts)
  )
})

t.test('a session that ended for another reason is refused as ended, with any code', async (t) => {
  const owner = await (await signUp(app, 'otherwise')).enrol()
  const [left, revoked, replaced] = await sessionsOf(owner, 3)
  const token = await owner.nextCode()
  expect(204, await revoked!.request('POST', '/token/revoke'))
  const before = at(replaced!, app)
  expect(200, await replaced!.verify(token))
  t.equal(outcome(await revoked!.request('POST', '/totp/login', { token })), '401 SESSION_ENDED', 'logged out')
  t.equal(outcome(await before.request('POST', '/totp/login', { token: await owner.wrongCode() })), '400 OTP_INVALID', 'nothing is judged')
  t.equal(
    outcome(await before.request('POST', '/totp/recovery_code/login', { token: owner.recoveryCodes[0]! })),
    '401 SESSION_ENDED',
    'another request'
  )
  t.equal(outcome(await before.request('DELETE', '/totp/delete')), '401 SESSION_ENDED')
  expect(200, await replaced!.request('DELETE', '/totp/delete'))
  t.equal(outcome(await left!.request('POST', '/totp/login', { token })), '401 SESSION_ENDED', 'ended by another session')
  t.equal(outcome(await owner.request('DELETE', '/totp/delete')), '401 SESSION_ENDED')
})
