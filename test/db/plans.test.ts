import t from 'tap'
import { plansAt, differences } from '../load/plans-at.js'
import { need } from '../helpers/need.js'

const server = await need('postgres')

/** `node build/test/load/plans.js` does the same with a million. */
const FEW = 1_000
const MANY = 20_000

t.test('more users change no plan, and no more than the depth of trees', async (t) => {
  const few = await plansAt(t, server, FEW)
  const many = await plansAt(t, server, MANY)
  t.ok(few.plans.size > 20, 'the statements were seen')
  t.strictSame(differences(few.plans, many.plans), [])
  for (const [statement, { nodes }] of many.plans) {
    t.notOk(nodes.some(({ what }) => /^Seq Scan (otp_|account|password_)/.test(what)), `reads no whole table: ${statement.trim().slice(0, 60)}`)
  }
})
