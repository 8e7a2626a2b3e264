import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { explainAll } from '../helpers/plans.js'
import { differences, plansAt } from '../load/plans-at.js'

const server = await need('postgres')

/** `node build/test/load/plans.js` does the same with a million. */
const FEW = 1_000
const MANY = 10_000
const GROWS = /^Seq Scan (otp_(user|device|session|event|recovery_code)|account|account_network|password_budget)$/

t.test('more users change no plan, and no more than the depth of trees', async (t) => {
  const few = await plansAt(t, server, FEW)
  const many = await plansAt(t, server, MANY)
  t.ok(few.plans.size > 20, 'the statements were seen')
  t.strictSame(differences(few.plans, many.plans), [])
  const whole = [...many.plans].filter(([, { nodes }]) => nodes.some(({ what }) => GROWS.test(what))).map(([statement]) => statement)
  t.strictSame(whole, [], 'nothing reads a whole table of those that grow with the users')
})

t.test('an accepted code takes two statements, each a commit of its own, which write six rows', async (t) => {
  const { app } = await freshApp(t)
  const ada = await (await signUp(app, 'ada')).enrol()
  const elsewhere = ada.elsewhere()
  expect(200, await elsewhere.login())
  const code = await elsewhere.nextCode()
  const explaining = explainAll()
  t.teardown(explaining.stop)
  expect(200, await elsewhere.verify(code))
  const written = [...explaining.plans.values()].map(({ nodes }) => nodes.reduce((sum, node) => sum + node.written, 0)).filter((rows) => rows > 0)
  t.equal(written.length, 2)
  t.equal(written.reduce((sum, rows) => sum + rows, 0), 6)
})
