import fc from 'fast-check'
import t from 'tap'
import { smaller } from './mutate.js'
import { planted } from './planted.js'
import { search } from './search.js'
import { sized } from '../helpers/thorough.js'
import { rule, textOf, type Target } from './target.js'

t.setTimeout(120_000)
const target: Target = {
  files: ['test/fuzz/planted.js'],
  words: [...'abcdefghijklmnopqrstuvwxyz!0123456789'],
  arbitrary: fc.record({ text: fc.string({ maxLength: 8 }) }),
  check: (input) => { planted(textOf(input, 'text')) }
}

t.test('coverage leads to a fault that random text does not find', async (t) => {
  // The number of inputs ends it, on a machine of any speed.
  const options = { seconds: 3600, seed: 7, mostInputs: 30_000, corpus: [] }
  const blind = await search({ ...target, files: [] }, { ...options, mostInputs: sized(3_000, options.mostInputs) })
  t.same(blind.faults, [])
  const { faults, corpus, inputs } = await search(target, options)
  t.equal(faults.length, 1)
  t.match(faults[0], { message: /found/, input: { text: 'otp!' } }, 'made as small as it can be')
  t.ok(inputs < 31_000)
  t.same(corpus.map((input) => textOf(input, 'text')).sort(), ['', 'o', 'ot', 'otp'], 'the corpus has what leads there')
})

t.test('a slow input is a fault', async (t) => {
  const { faults } = await search({
    ...target,
    files: [],
    check (input) {
      const until = process.cpuUsage().user + 80_000
      if (textOf(input, 'text').length > 3) while (process.cpuUsage().user < until) continue
    }
  }, { seconds: 3600, seed: 1, mostInputs: 1, corpus: [{ text: 'abcd' }] })
  t.match(faults, [{ message: 'an input takes more than 50 ms', input: { text: 'abcd' } }])
})

t.test('smaller inputs are smaller, and of the same form', async (t) => {
  const input = { text: 'ab', list: [1, 'c'], flag: true, none: null }
  for (const one of smaller(input)) {
    t.ok(JSON.stringify(one).length < JSON.stringify(input).length || JSON.stringify(one) !== JSON.stringify(input))
    t.same(Object.keys(one as object), Object.keys(input))
  }
  t.throws(() => { rule(false, 'broken') }, { name: 'Fault' })
})
