import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { expect, signUp } from '../helpers/person.js'
import { refusals } from '../../src/core/refusals.js'

const { app } = await freshApp(t)

interface Refused { code: string, message: string, methods: string[] }

t.test('T9 a refusal for lack of a second factor names the methods that would help', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const session = ada.elsewhere()
  expect(200, await session.login())
  const refused = expect(403, await session.request('GET', '/session')).json<Refused>()
  t.match(refused, { code: 'OTP_REQUIRED', methods: ['totp', 'recovery_code'] })
  // The error handler of a host may leave the message out.
  if (!doorOf(app).isHost) t.equal(refused.message, refusals.OTP_REQUIRED[1])
  const create = expect(403, await session.request('POST', '/totp/create')).json<Refused>()
  t.match(create, { code: 'OTP_REQUIRED', methods: ['totp', 'recovery_code'] })
  expect(200, await session.verify())
  expect(200, await session.request('GET', '/session'))
})

t.test('T9 without a second factor no method helps, and the message says that one must be set up', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const refused = expect(403, await bob.request('GET', '/session?required')).json<Refused>()
  t.match(refused, { code: 'OTP_REQUIRED', methods: [] })
  t.not(refused.message, refusals.OTP_REQUIRED[1])
})

t.test('T9 fifty refusals at once are alike, and each session gets its own user\'s methods', async (t) => {
  const [eve, fay] = [await (await signUp(app, 'eve')).enrol(), await signUp(app, 'fay')]
  const unverified = eve.elsewhere()
  expect(200, await unverified.login())
  expect(200, await fay.login())
  const answers = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const person = i % 2 === 0 ? unverified : fay
    return [i % 2, expect(403, await person.request('GET', '/session?required')).json<Refused>().methods] as const
  }))
  t.same(new Set(answers.map((answer) => JSON.stringify(answer))), new Set(['[0,["totp","recovery_code"]]', '[1,[]]']))
})
