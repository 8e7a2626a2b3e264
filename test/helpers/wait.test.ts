import t from 'tap'
import { until } from './wait.js'

t.test('it gives back the first truthy answer, throws what the question throws, and has an end', async (t) => {
  let asked = 0
  t.equal(await until('three', () => ++asked === 3 && 'three'), 'three')

  asked = 0
  await t.rejects(until('nothing', () => {
    asked++
    throw new TypeError('a mistake')
  }), new TypeError('a mistake'))
  t.equal(asked, 1, 'at once')

  await t.rejects(until('what never comes', () => false, 20), /what never comes/)
})
