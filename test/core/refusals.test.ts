import t from 'tap'
import { Refusal, refusals, type RefusalCode } from '../../src/core/refusals.js'

const framesOf = ({ stack = '' }: Error) => stack.split('\n').filter((line) => line.startsWith('    at ')).length

t.test('a refusal below 500 has no stack, a fault has one, and Error.stackTraceLimit is the same afterwards', async (t) => {
  const { stackTraceLimit } = Error
  for (const code of Object.keys(refusals) as RefusalCode[]) {
    const [status] = refusals[code]
    t.equal(framesOf(new Refusal(code)) > 0, status >= 500, `${code} ${status}`)
    t.equal(Error.stackTraceLimit, stackTraceLimit, code)
  }
  t.ok(framesOf(new Error('another')) > 0)
})

t.test('the challenge of each refusal is one of Bearer, without a comma or an escape in a value, as simple readers want it', async (t) => {
  const simple = /^Bearer( [a-z_]+="[^"\\,]+"(, [a-z_]+="[^"\\,]+")*)?$/
  const codes = Object.keys(refusals) as RefusalCode[]
  const challenges = codes.map((code) => new Refusal(code, { maxAgeSeconds: 300 }).headers['www-authenticate'])
  const shown = challenges.filter((challenge) => challenge !== undefined)
  t.equal(shown.length, 6)
  for (const challenge of shown) t.match(challenge, simple)
})
