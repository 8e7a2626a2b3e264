import t from 'tap'
import { Refusal, refusals, type RefusalCode } from '../../src/core/refusals.js'

const framesOf = ({ stack = '' }: Error) => stack.split('\n').filter((line) => line.startsWith('    at ')).length

t.test('what is an answer carries no stack, what is a fault does, and whoever asked for how long one is gets that afterwards', async (t) => {
  const { stackTraceLimit } = Error
  for (const code of Object.keys(refusals) as RefusalCode[]) {
    const [status] = refusals[code]
    t.equal(framesOf(new Refusal(code)) > 0, status >= 500, `${code} ${status}`)
    t.equal(Error.stackTraceLimit, stackTraceLimit, code)
  }
  t.ok(framesOf(new Error('another')) > 0)
})
