import { readFile } from 'node:fs/promises'
import t from 'tap'
import { need } from '../helpers/need.js'
import { isThorough } from '../helpers/thorough.js'
import { counterexample, models, rulesOf, search, without } from './spin.js'

await need('spin')
await need('gcc')

for (const model of models) {
  const text = await readFile(model.file, 'utf8')

  for (const configuration of model.configurations.filter(({ isShort }) => isThorough || isShort)) {
    t.test(`${model.file}, ${configuration.name}: no run violates a property`, async (t) => {
      const { violation, states } = await search(text, configuration)
      t.equal(violation, null)
      t.comment(`${states} states`)
    })
  }

  // One search shows that the model depends on its rules; `npm run model` does it for each rule.
  for (const rule of rulesOf(text).slice(0, 1)) {
    t.test(`${model.file} without "${rule.name}" has a run that violates a property`, async (t) => {
      t.not(await counterexample(model, rule), null)
    })
  }
}

t.test('the list of rules in model/README.md is that of the models', async (t) => {
  const readme = await readFile('model/README.md', 'utf8')
  const listed = readme.split('\n').filter((line) => line.startsWith('- *')).map((line) => /^- \*(.+?)\*/.exec(line)?.[1])
  const rules = await Promise.all(models.map(async ({ file }) => rulesOf(await readFile(file, 'utf8'))))
  t.strictSame(listed, rules.flat().map(({ name }) => name))
})

t.test('a search that is cut off counts as no result', async (t) => {
  const endless = 'active proctype world () { int n; do :: n < 100000 -> n++ :: else -> break od; assert(n < 0) }'
  t.equal((await search(endless, { name: '', defines: [] })).holds, false)
  await t.rejects(search('active proctype world () { nonsense }', { name: '', defines: [] }))
  t.equal(without('a\nb\nc', { name: '', line: 1 }), 'a\n\nc')
})
