import { readdir } from 'node:fs/promises'
import t from 'tap'
import { readCorpus } from './corpus.js'
import { faultOf } from './search.js'
import { targets, type TargetName } from './targets/index.js'

t.setTimeout(120_000)
const names = Object.keys(targets) as TargetName[]

for (const name of names) {
  t.test(`${name}: no input that reached all known code breaks the rule`, async (t) => {
    const corpus = await readCorpus(name)
    t.ok(corpus.length > 0, `npm run fuzz -- --only ${name} --keep`)
    const target = await targets[name]()
    for (const [i, input] of corpus.entries()) t.equal(await faultOf(target, input), null, `input ${i + 1}`)
    await target.close?.()
  })
}

t.test('each target has a corpus, and each corpus a target', async (t) => {
  const files = await readdir('test/fuzz/corpus')
  t.same(files.sort(), names.map((name) => `${name}.json`).sort())
})
