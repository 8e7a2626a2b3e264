/**
 * `npm run fuzz -- [--only TARGET] [--seconds N] [--seed S] [--keep]`: searches for inputs that break the rules of the targets in
 * targets/, each for some seconds, guided by the coverage of V8. Prints what it found; exits with 1 if that is a fault.
 *
 * `--keep` writes the inputs that reach all known code into corpus/, which `npm test` replays. The inputs that ran last are in
 * build/fuzz/: one of them is the reason if the search hangs.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCorpus, writeCorpus } from './corpus.js'
import { search } from './search.js'
import { targets, type TargetName } from './targets/index.js'

const names = Object.keys(targets) as TargetName[]
const { values: { only, seconds, seed, keep } } = parseArgs({
  options: {
    only: { type: 'string' }, seconds: { type: 'string', default: '30' }, seed: { type: 'string', default: '1' }, keep: { type: 'boolean' }
  }
})
const chosen = only === undefined ? names : names.filter((name) => only.split(',').includes(name))
if (chosen.length === 0) throw new Error(`--only is one or some of ${names.join()}`)
const folder = join('build', 'fuzz')
mkdirSync(folder, { recursive: true })

let faulty = 0
for (const name of chosen) {
  const target = await targets[name]()
  const found = await search(target, {
    seconds: Number(seconds),
    seed: Number(seed),
    corpus: await readCorpus(name),
    onBatch: (inputs) => { writeFileSync(join(folder, `${name}.json`), JSON.stringify(inputs)) }
  })
  const { inputs, cpuSeconds, faults, corpus, part, missed } = found
  console.log(`${name}: ${inputs} inputs, ${cpuSeconds.toFixed(0)} s of CPU, ${(part * 100).toFixed(1)} % of the code of its files, ` +
    `corpus ${corpus.length}, faults ${faults.length}`)
  for (const { message, input } of faults) console.log(`  FAULT ${message}\n    ${JSON.stringify(input).slice(0, 400)}`)
  if (missed.length > 0) console.log(`  not reached: ${missed.join(' ')}`)
  faulty += faults.length
  if (keep === true && faults.length === 0) await writeCorpus(name, corpus)
  await target.close?.()
}
process.exitCode = faulty === 0 ? 0 : 1
