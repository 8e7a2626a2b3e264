import t from 'tap'
import { createTelling } from '../../../src/sessions/revocations/telling.js'
import { until } from '../../helpers/wait.js'

t.test('the first news is told at once, a stream of them in few messages, and none goes untold', async (t) => {
  let told = 0
  let messages = 0
  let happened = 0
  const { tell, stop } = createTelling(() => {
    messages++
    told = happened
  })
  t.teardown(stop)
  const happen = () => {
    happened++
    tell()
  }
  happen()
  t.equal(messages, 1)
  const stream = setInterval(() => { for (let i = 0; i < 50; i++) happen() }, 1)
  await until('enough to have happened', async () => happened >= 1_000)
  clearInterval(stream)
  await until('the last one to be told', async () => told === happened)
  t.ok(messages < happened / 10, `${messages} messages for ${happened} news`)
})
