import t from 'tap'
import { createDeliveryLoop, type LoopOptions } from '../../src/events/delivery-loop.js'
import { until } from '../helpers/wait.js'

/** Runs a loop for so many rounds. @returns for each of them, whether it gives up expired deliveries */
async function upkeepsOf (rounds: number, resultOf: (round: number) => Awaited<ReturnType<LoopOptions['round']>>) {
  const upkeeps: boolean[] = []
  const errors: unknown[] = []
  const loop = createDeliveryLoop({
    async round (isUpkeep) {
      upkeeps.push(isUpkeep)
      return resultOf(upkeeps.length)
    },
    isReady: () => true,
    onError: (error) => { errors.push(error) }
  })
  loop.start()
  await until('the rounds', () => upkeeps.length >= rounds, 10_000)
  await loop.stop()
  return { upkeeps: upkeeps.slice(0, rounds), errors }
}

t.test('only the first of many rounds within five seconds gives up expired deliveries', async (t) => {
  const { upkeeps } = await upkeepsOf(20, () => ({ sent: 1, failed: 0, isMore: true }))
  t.same(upkeeps, [true, ...Array<boolean>(19).fill(false)])
})

t.test('a round that failed has not given up: the next one does', async (t) => {
  const { upkeeps, errors } = await upkeepsOf(2, (round) => {
    if (round === 1) throw new Error('PostgreSQL is away')
    return { sent: 0, failed: 0, isMore: false }
  })
  t.same(upkeeps, [true, true])
  t.equal(errors.length, 1)
})
